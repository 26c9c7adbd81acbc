"""`outbid explain` on a state directory made by hand, and on a file of campaigns: what it prints, how it ends."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.board import Board
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder.campaigns import snapshot
from bidder.campaigns.compile import compile_book
from bidder.cli import context
from bidder.cli.main import main
from bidder.settings import Settings, Tracking
from tests import books
from tests.worlds import banner, campaign, imp, request

CAMPAIGNS = [
    campaign("c-1", "2.4"),
    campaign("c-2", "5", targeting={"country": {"include": ["CAN"]}}),
    campaign("c-3", "1", status="paused"),
]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A host that is not running: its book, and purses with a dollar each."""
    state = context.make_state(tmp_path / "state")
    context.save(state, replace(Settings(), tracking=Tracking(public_url="https://t.example")), "")
    purses = Purses(state / "shm" / "purses", 64)
    FrequencyTable(state / "shm" / "frequency", 64)
    Board(state / "shm" / "board")
    compile_book(
        books.records(CAMPAIGNS),
        revision=7,
        exchanges=books.EXCHANGES,
        public_url="https://t.example",
        purse_of=purses.slot_of,
        path=snapshot.path_of(state, 7),
    )
    snapshot.publish(state, 7)
    for slot in range(purses.used):
        purses.grant(slot, 0, 1 + slot, 1_000_000_000)
        purses.open_half(slot, 0)
    return state


def written(tmp_path: Path, body: Any) -> str:
    path = tmp_path / "request.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
    return str(path)


def explain(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(["explain", *argv])
    said = capsys.readouterr()
    return code, said.out, said.err


def digests(directory: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.rglob("*") if path.is_file()}


def test_a_bid_is_explained_and_nothing_of_the_host_is_touched(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(state)
    asked = written(tmp_path, request())
    code, out, _ = explain(capsys, asked, "--state", str(state))
    assert code == 0
    assert out.splitlines() == [
        "generic, book 7 of 2 campaigns: 1 bid",
        "imp 1: c-1 wins with cr-1 at 2.4 USD CPM",
        "         1  may bid",
        "         1  TARGETING       country",
        "    c-1: wins",
        "    c-2: TARGETING, country: absent not in include [CAN]",
    ]
    assert digests(state) == before


def test_a_no_bid_ends_with_1_and_its_reason_is_that_of_the_closest(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = written(tmp_path, request([imp(bidfloor=3)]))
    code, out, _ = explain(capsys, asked, "--exchange", "openx", "--state", str(state), "--json")
    told = json.loads(out)
    assert (code, told["bid"], told["reason"], told["book_revision"]) == (1, False, "FLOOR", 7)
    (one,) = told["imps"]
    assert one["fallen"] == [
        {"reason": "FLOOR", "field": "floor", "campaigns": 1},
        {"reason": "TARGETING", "field": "country", "campaigns": 1},
    ]
    assert one["closest"][0] == {
        "campaign": "c-1",
        "outcome": "falls",
        "reason": "FLOOR",
        "predicate": "floor: 2.40 < 3.00 USD",
        "price_cpm_usd": None,
    }


def test_one_campaign_alone_is_told_of_and_ends_as_it_does(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = written(tmp_path, request(device={"geo": {"country": "CAN"}}))
    code, out, _ = explain(capsys, asked, "--campaign", "c-2", "--state", str(state))
    assert (code, out.splitlines()[-1]) == (0, "    c-2: wins")
    code, out, _ = explain(capsys, asked, "--campaign", "c-1", "--state", str(state))
    assert (code, out.splitlines()[-1]) == (1, "    c-1: outranked, price: 2.40 < 5.00 USD of c-2")
    code, _, err = explain(capsys, asked, "--campaign", "c-3", "--state", str(state))
    assert (code, err) == (2, "outbid explain: campaign 'c-3': does not run here\n")


def test_a_file_of_campaigns_needs_no_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "campaigns.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in CAMPAIGNS), encoding="utf-8")
    state = tmp_path / "nowhere"
    argv = ["--campaigns", str(file), "--state", str(state)]
    code, out, _ = explain(capsys, written(tmp_path, request()), *argv)
    assert (code, out.splitlines()[1]) == (0, "imp 1: c-1 wins with cr-1 at 2.4 USD CPM")
    code, out, _ = explain(capsys, written(tmp_path, request([imp(secure=1)])), *argv)
    assert code == 1
    assert "secure: 1, and no creative is secure (tracking.public_url is not https)" in out
    code, _, err = explain(capsys, written(tmp_path, request()), *argv, "--campaign", "c-3")
    assert (code, err) == (2, "outbid explain: campaign 'c-3': status: paused\n")
    assert not state.exists()


def test_a_request_may_come_by_standard_input(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(request(), indent=4).encode())))
    code, out, _ = explain(capsys, "-", "--state", str(state))
    assert (code, out.splitlines()[0]) == (0, "generic, book 7 of 2 campaigns: 1 bid")


def test_all_campaigns_are_told_of_where_all_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "campaigns.jsonl"
    many = [campaign(f"c-{n}", f"1.{n:02}", creatives=[banner(attr=[n % 3 + 1])]) for n in range(40)]
    file.write_text("\n".join(json.dumps(one) for one in many), encoding="utf-8")
    asked = written(tmp_path, request([imp(banner={"w": 320, "h": 50, "battr": [1]})]))
    argv = [asked, "--campaigns", str(file), "--state", str(tmp_path / "nowhere"), "--json"]
    for more, told in (([], 10), (["--all"], 40)):
        code, out, _ = explain(capsys, *argv, *more)
        closest = json.loads(out)["imps"][0]["closest"]
        assert (code, len(closest)) == (0, told)
        assert {one["outcome"] for one in closest} == {"wins", "outranked", "falls"}


@pytest.mark.parametrize(
    ("body", "argv", "named"),
    [
        (None, [], "No such file"),
        ("{", [], "MALFORMED"),
        (request(), ["--exchange", "nobody"], "no exchange 'nobody'; there are generic"),
        (request(), ["--campaign", "c-9"], "c-9"),
        (request(), ["--campaigns", "/nowhere.jsonl"], "/nowhere.jsonl"),
        (request(), ["--campaigns", "BAD"], "line 1"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_one_line(
    body: Any, argv: list[str], named: str, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": "x"}', encoding="utf-8")
    asked = "/nowhere.json" if body is None else written(tmp_path, body)
    argv = [str(tmp_path / "bad.jsonl") if one == "BAD" else one for one in argv]
    code, out, err = explain(capsys, asked, *argv, "--state", str(state))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("outbid explain: ")
    assert named in err


def test_a_state_directory_without_a_host_or_without_purses_is_named(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = written(tmp_path, request())
    code, _, err = explain(capsys, asked, "--state", str(tmp_path / "nowhere"))
    assert code == 2
    assert "no outbid host in" in err
    (state / "shm" / "purses").unlink()
    code, _, err = explain(capsys, asked, "--state", str(state))
    assert code == 2
    assert "purses: missing" in err


def test_a_host_without_a_book_says_so(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "book" / "current").unlink()
    code, out, _ = explain(capsys, written(tmp_path, request()), "--state", str(state))
    assert (code, out) == (1, "generic, book 0 of 0 campaigns: no bid, NO_BOOK: this host has no book yet\n")
