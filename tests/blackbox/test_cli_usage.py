"""The command line without a host: every verb describes itself; wrong usage and a missing host are one line each.

In this process, as an exception that nobody expected would show here as one.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.cli.main import HIDDEN, VERBS, build_parser, main

pytestmark = pytest.mark.blackbox


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """It and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


ALL = {parser.prog: parser for parser in parsers(build_parser())}
PROGRAMS = sorted(ALL)


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code: object
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    assert isinstance(code, int), argv
    return code, said.out, said.err


def refused(argv: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that it says."""
    found, out, err = run(argv, capsys)
    assert (found, out) == (code, ""), err
    assert err.count("\n") == 1, err
    assert err.startswith("outbid"), err
    return err


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_verb_and_every_argument_of_it_is_described(program: str) -> None:
    parser = ALL[program]
    assert parser.description, program
    subparsers = argparse._SubParsersAction
    silent = [a.dest for a in parser._actions if not a.help and not isinstance(a, subparsers)]
    assert not silent, (program, silent)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_printed_for_every_verb(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([*program.split()[1:], "--help"], capsys)
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {program} ")


def test_help_names_every_verb_that_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(["--help"], capsys)
    assert all(f"    {verb}" in out for verb in VERBS if verb not in HIDDEN)
    assert not any(f"    {verb}" in out for verb in HIDDEN)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        ([], "VERB"),
        (["fly"], "fly"),
        (["up", "--fast"], "--fast"),
        (["up", "--worker", "2"], "--worker"),
        (["up", "--workers", "many"], "--workers"),
        (["campaign"], "ACTION"),
        (["campaign", "eat"], "eat"),
        (["campaign", "import"], "file"),
        (["campaign", "list", "--all"], "--all"),
        (["campaign", "pause", "a", "b"], "b"),
        (["campaign", "set-budget", "a", "--pacing", "slow"], "slow"),
        (["report"], "REPORT"),
        (["report", "weather"], "weather"),
        (["report", "spend", "--format", "xml"], "xml"),
        (["report", "spend", "--colour"], "--colour"),
        (["switch", "sideways"], "sideways"),
        (["status", "--loud"], "--loud"),
        (["lint", "request.json"], "RESPONSE"),
        (["lint", "a", "b", "--status", "good"], "--status"),
        (["stop"], "role"),
        (["exchange", "play", "--rate", "fast"], "--rate"),
        (["exchange", "play", "--seconds", "1", "--requests", "1"], "--requests"),
    ],
)
def test_wrong_usage_is_refused_by_name_in_one_line(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(argv, 2, capsys)
    assert named in said
    assert "--help" in said


@pytest.mark.parametrize(
    "argv",
    [
        ["campaign", "list"],
        ["campaign", "show", "c"],
        ["campaign", "import", "-"],
        ["campaign", "pause", "c", "--wait"],
        ["campaign", "set-budget", "c", "--daily-usd", "1"],
        ["report", "spend"],
        ["report", "delivery", "--flush"],
        ["report", "ledger", "--json"],
        ["ledger", "accept", "--all"],
        ["ledger", "fee", "a", "5"],
        ["reconcile"],
        ["sql", "-c", "SELECT 1"],
        ["status"],
        ["status", "--json"],
        ["experiment", "list"],
        ["switch"],
        ["switch", "off"],
        ["switch", "on", "--campaign", "c"],
        ["stop", "worker"],
        ["start", "worker"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("made", [False, True], ids=["no directory", "an empty directory"])
def test_a_state_directory_without_a_host_is_named_by_every_verb(
    argv: list[str], made: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    if made:
        state.mkdir()
    said = refused([*argv, "--state", str(state)], 1, capsys)
    assert f"no outbid host in {state}" in said
    assert "outbid up" in said
    assert state.exists() == made


@pytest.mark.parametrize("role", ["controller", "aggregator"])
def test_a_role_that_needs_postgres_says_so(role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "postgres.dsn" in refused([role, "--state", str(tmp_path / "state")], 1, capsys)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("[bidder]\nlisten = '127.0.0.1:1'\nspeed = 9", "bidder.speed"),
        ("[kitchen]\n", "[kitchen]"),
        ("[bidder]\nworkers = 'two'", "bidder.workers"),
        ("[exchanges.ours]\nseat = 'x'", "exchanges.ours"),
        ("[exchanges.ours]\nkey = 2", "exchanges.ours.key"),
        ("[exchanges.openx]\nspend_on = 'luck'", "exchanges.openx.spend_on"),
        ("[tracking]\ntoken_ttl_s = 0", "tracking.token_ttl_s: a second or more"),
        ("[tracking]\nvideo_ttl_s = -1", "tracking.video_ttl_s: no time is negative"),
        ("[bidder\n", "line 1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_with_its_place(
    document: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(document, encoding="utf-8")
    said = refused(["up", "--state", str(tmp_path / "state"), "--settings", str(file)], 1, capsys)
    assert str(file) in said
    assert named in said


@pytest.mark.parametrize("variable", ["OUTBID_BIDDER_SPEED", "OUTBID_KITCHEN_SINK", "OUTBID_BIDDER_WORKERS"])
def test_a_variable_that_cannot_be_used_is_refused_by_name(
    variable: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "many")
    assert variable in refused(["up", "--state", str(tmp_path / "state")], 1, capsys)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["up", "--workers", "0"], "--workers 0"),
        (["up", "--port-base", "80"], "--port-base 80"),
        (["up", "--settings", "/nowhere.toml"], "/nowhere.toml"),
        (["exchange", "play", "--rate", "0"], "--rate 0"),
        (["exchange", "play", "--exchange", "nobody"], "nobody"),
        (["exchange", "play", "--url", "https://exchange.example/"], "https://exchange.example/"),
        (["exchange", "play", "/nowhere.jsonl"], "/nowhere.jsonl"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(
    argv: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in refused([*argv, "--state", str(tmp_path / "state")], 1, capsys)


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert str(file / "state") in refused(["up", "--state", str(file / "state")], 1, capsys)
