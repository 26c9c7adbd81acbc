"""`outbid lint`: what it prints and ends with."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from bidder.cli.main import main
from tests.lint_cases.good import talk


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A good talk, one below the floor, and what is no request."""
    good, bad = talk("video"), talk("banner", {"bid.price": 0.25, "bid.adomain": []})
    held: dict[str, Any] = {
        "request": good.request,
        "response": good.response,
        "bad-request": bad.request,
        "bad-response": bad.response,
        "rates": {"date": "2026-11-26", "base": "EUR", "rates": {"USD": 1.25, "JPY": "160"}},
        "list": [],
        "odd-rates": {"rates": {"EUR": "dear"}},
        "no-usd": {"base": "EUR", "rates": {"JPY": 160}},
        "in-yen": {"id": "r-1", "imp": [{"id": "1", "bidfloor": 321, "bidfloorcur": "JPY", "video": {}}]},
    }
    for name, value in held.items():
        (tmp_path / name).write_text(json.dumps(value), encoding="utf-8")
    (tmp_path / "empty").touch()
    return {name: str(tmp_path / name) for name in [*held, "empty", "missing"]}


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(["lint", *argv])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_good_answer_ends_with_0(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, files["request"], files["response"]) == (0, "nothing to object to\n", "")
    assert run(capsys, files["request"], files["empty"], "--json") == (0, "[]\n", "")


def test_violations_are_a_line_each_and_end_with_1(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, files["bad-request"], files["bad-response"])
    assert (code, err) == (1, "")
    first, second = out.splitlines()
    assert first.split()[:3] == ["error", "floor", "seatbid[0].bid[0].price:"]
    assert second.split()[:3] == ["warning", "adomain_absent", "seatbid[0].bid[0].adomain:"]


def test_violations_as_json(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, files["bad-request"], files["bad-response"], "--json")
    (floor, adomain) = json.loads(out)
    assert (code, adomain["rule"]) == (1, "adomain_absent")
    assert floor == {
        "rule": "floor",
        "severity": "error",
        "path": "seatbid[0].bid[0].price",
        "message": "0.25 'USD' is below the floor of 0.5 'USD'",
    }


def test_an_answer_may_come_by_stdin_with_its_status(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"oops")))
    code, out, _ = run(capsys, files["request"], "-", "--status", "204")
    assert (code, out.split()[:3]) == (1, ["error", "body_on_204", "answer:"])


def test_floors_are_compared_by_the_rates_of_a_file(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """2.50 USD are 2 EUR are 320 JPY."""
    rated = run(capsys, files["in-yen"], files["response"], "--rates", files["rates"], "--json")
    assert (rated[0], [one["rule"] for one in json.loads(rated[1])]) == (1, ["floor"])
    unrated = run(capsys, files["in-yen"], files["response"], "--json")
    assert [one["rule"] for one in json.loads(unrated[1])] == ["floor_currency"]


def test_an_exchange_of_the_settings_has_its_seat(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[exchanges.openx]\nkey = 2\nseat = "77"\n', encoding="utf-8")
    code, out, _ = run(
        capsys, files["request"], files["response"], "--exchange", "openx", "--settings", str(settings), "--json"
    )
    assert (code, [one["rule"] for one in json.loads(out)]) == (1, ["seat"])


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["missing", "response"], "missing"),
        (["list", "response"], "not one JSON object"),
        (["empty", "response"], "not one JSON object"),
        (["request", "missing"], "missing"),
        (["request", "response", "--rates", "missing"], "missing"),
        (["request", "response", "--rates", "odd-rates"], "above 0"),
        (["request", "response", "--rates", "list"], "not one JSON object"),
        (["request", "response", "--rates", "no-usd"], "USD"),
        (["-", "-"], "both"),
        (["request", "response", "--exchange", "nobody"], "nobody"),
        (["request", "response", "--exchange", "openx", "--settings", "list"], "list"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line_and_ends_with_2(
    argv: list[str], named: str, files: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, *(files.get(word, word) for word in argv), "--state", str(tmp_path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("outbid lint: ")
    assert named in err
