"""The fuzz loops of scripts/fuzz, shortly and without sanitizers: they find nothing, and would say so if they did."""

import subprocess
import sys
from pathlib import Path

import pytest

from bidder._fast.request import Reader
from tests import extensions
from tests.fuzz import build, oracles, run, seeds

EXECUTIONS = 20_000


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    try:
        return build.build(run.BUILT / "plain", sanitized=False)
    except extensions.NotBuilt as missing:
        pytest.skip(str(missing).partition("\n")[0])


@pytest.mark.parametrize("target", ["listener", "reader"])
def test_some_thousand_mutated_inputs_are_no_finding(target: str, environ: dict[str, str], tmp_path: Path) -> None:
    last = tmp_path / "last"
    last.write_bytes(bytes(run.LAST_BYTES))
    options = ["--executions", str(EXECUTIONS), "--oracle-every", "50", "--last", str(last)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", target, *options],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\nthe input: {run.input_in(last)!r}"
    assert f"{EXECUTIONS:,} executions" in done.stdout


def test_seeds_are_sound_requests() -> None:
    reader = Reader(oracles.US)
    for body in seeds.reader_seeds():
        oracles.reader(body, reader.parse(body), reader)
    assert sum(reader.parse(body) == 0 for body in seeds.reader_seeds()) > 40


def test_the_readers_oracle_objects_to_another_code_and_another_view() -> None:
    reader = Reader(oracles.US)
    body, other = seeds.reader_seeds()[-2:]
    code = reader.parse(body)
    with pytest.raises(AssertionError, match="code"):
        oracles.reader(body, code + 1, reader)
    with pytest.raises(AssertionError):
        oracles.reader(other, code, reader)


def test_the_listeners_oracle_objects_to_a_request_that_nobody_sent() -> None:
    data = b"POST /bid/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    oracles.listener(data, [(b"/bid/x", b"{}")])
    oracles.listener(data, [])
    for wrong in ([(b"/bid/x", b"{")], [(b"/bid/x", b"{}"), (b"/bid/x", b"")]):
        with pytest.raises(AssertionError, match="llhttp"):
            oracles.listener(data, wrong)


def test_a_finding_is_kept_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "BUILT", tmp_path)
    last = tmp_path / "last"
    last.write_bytes((5).to_bytes(8, sys.byteorder) + b"hello" + bytes(20))
    found = run.keep("reader", last)
    assert found.read_bytes() == b"hello"
    assert run.keep("reader", last) == found
    assert run.keep("listener", last) != found
