"""The log never blocks, counts what it drops, and holds no values of exceptions."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bidder.ops import log as log_module
from bidder.ops.log import FIRST, INTERVAL_S, KINDS, Log, Sink


class Lines:
    """Collects what a sink writes; `gate` holds the writer back, as a full pipe would."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def write(self, line: bytes) -> None:
        self.entered.set()
        self.gate.wait(10)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.records.append(json.loads(line))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    yield lines
    lines.gate.set()


def make(lines: Lines, clock: Callable[[], float] | None = None, **options: Any) -> tuple[Sink, Log]:
    sink = Sink(lines.write, monotonic=clock or Clock(), **options)
    return sink, Log("tracker", sink)


def test_a_record_is_one_json_object_with_role_pid_and_fields(lines: Lines) -> None:
    sink, log = make(lines)
    log.info("book swapped", revision=7, path="a\nb")
    assert sink.flush(5)
    [record] = lines.records
    assert record.pop("ts") > 1_600_000_000
    assert record == {
        "level": "info",
        "role": "tracker",
        "pid": os.getpid(),
        "msg": "book swapped",
        "revision": 7,
        "path": "a\nb",
    }


def test_fields_about_another_process_do_not_hide_who_speaks(lines: Lines) -> None:
    sink, log = make(lines)
    log.error("role died", role="worker", pid=7)
    assert sink.flush(5)
    assert lines.records[0]["role"] == "tracker"
    assert (lines.records[0]["of_role"], lines.records[0]["of_pid"]) == ("worker", 7)


def test_values_that_are_no_json_are_written_as_text(lines: Lines) -> None:
    sink, log = make(lines)
    log.info("odd", nan=float("nan"), raw=b"\xff", place=[("x", 1)], lone="\ud800", long="x" * 9_999)
    assert sink.flush(5)
    record = lines.records[0]
    assert record["nan"] == "nan"
    assert record["place"] == [["x", 1]]
    assert len(record["long"]) == log_module.TEXT


def test_a_full_queue_drops_without_blocking_and_reports_how_many(lines: Lines) -> None:
    clock = Clock()
    sink, log = make(lines, clock, capacity=5)
    lines.gate.clear()
    log.info("held by the writer")
    assert lines.entered.wait(5)
    for n in range(20):
        log.info(f"message {n}")
    lines.gate.set()
    assert sink.flush(5)
    assert [r["msg"] for r in lines.records[:6]] == ["held by the writer", *(f"message {n}" for n in range(5))]
    clock.now += INTERVAL_S
    log.info("later")
    assert sink.flush(5)
    assert {"dropped": 15}.items() <= next(r for r in lines.records if r["msg"] == "log records dropped").items()


def test_repeats_of_one_kind_are_suppressed_and_counted(lines: Lines) -> None:
    clock = Clock()
    sink, log = make(lines, clock)
    for n in range(FIRST + 7):
        log.warning("stale totals", n=n)
    log.info("something else")
    clock.now += INTERVAL_S
    log.warning("stale totals", n=-1)
    assert sink.flush(5)
    stale = [r for r in lines.records if r["msg"] == "stale totals"]
    assert [r["n"] for r in stale if "n" in r] == [*range(FIRST), -1]
    assert [r["suppressed"] for r in stale if "suppressed" in r] == [7]
    assert any(r["msg"] == "something else" for r in lines.records)


def test_the_kinds_told_apart_are_bounded(lines: Lines) -> None:
    sink, log = make(lines, capacity=10 * KINDS)
    for n in range(2 * KINDS):
        log.info(f"message {n}")
    assert sink.flush(5)
    assert len([r for r in lines.records if r["msg"].startswith("message ")]) == KINDS + FIRST
    [others] = [r for r in lines.records if r["msg"] == "other messages"]
    assert others["suppressed"] == KINDS - FIRST


def test_an_exception_is_logged_by_type_and_place_without_its_values(lines: Lines) -> None:
    sink, log = make(lines)

    def fail() -> None:
        secret = "10.1.2.3"
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise FileNotFoundError(2, secret) from error

    try:
        fail()
    except OSError:
        log.exception("notice failed", kind="bill")
    assert sink.flush(5)
    [record] = lines.records
    assert (record["error"], record["errno"], record["causes"]) == ("FileNotFoundError", 2, ["KeyError"])
    assert record["kind"] == "bill"
    assert "unit/test_log.py:" in record["at"][-1]
    assert "10.1.2.3" not in json.dumps(record)


def test_a_record_that_cannot_be_written_does_not_stop_the_next() -> None:
    written: list[bytes] = []

    def write(line: bytes) -> None:
        if b"broken" in line:
            raise RuntimeError
        written.append(line)

    sink = Sink(write)
    Log("x", sink).info("broken")
    Log("x", sink).info("whole")
    assert sink.flush(5)
    assert len(written) == 1


def test_flush_gives_up_when_nobody_reads(lines: Lines) -> None:
    sink, log = make(lines)
    lines.gate.clear()
    log.info("x")
    assert not sink.flush(0.05)


def test_tornado_is_routed_by_template_so_that_no_address_gets_through(capfd: pytest.CaptureFixture[str]) -> None:
    log_module.get("tracker")
    log_module.get("tracker")
    logging.getLogger("tornado.general").warning("Malformed HTTP request from %s: %s", "10.9.8.7", "x")
    logging.getLogger("tornado.access").error("%s", "GET /win/token (10.9.8.7)")
    assert log_module.flush(5)
    said = capfd.readouterr().err
    assert "10.9.8.7" not in said
    records = [json.loads(line) for line in said.splitlines()]
    [record] = [r for r in records if r.get("logger") == "tornado.general"]
    assert record["msg"] == "Malformed HTTP request from %s: %s"
    assert record["role"] == "tracker"


def test_our_own_loggers_keep_their_arguments_and_the_values_of_exceptions_to_themselves(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log_module.get("worker")
    try:
        raise ValueError("zip 10001")
    except ValueError:
        logging.getLogger("bidder.http").exception("%s %s failed", "GET", "/secret")
    assert log_module.flush(5)
    said = capfd.readouterr().err
    assert not {"10001", "/secret"} & set(said.replace('"', " ").split())
    assert "Traceback" not in said
    [record] = [r for r in map(json.loads, said.splitlines()) if r.get("logger") == "bidder.http"]
    assert (record["msg"], record["error"]) == ("%s %s failed", "ValueError")


def test_the_end_of_a_process_and_a_forked_child_lose_no_line() -> None:
    script = (
        "import os\n"
        "from bidder.ops.log import get\n"
        "log = get('worker')\n"
        "log.info('parent')\n"
        "pid = os.fork()\n"
        "log.info('child' if pid == 0 else 'after')\n"
        "pid and os.waitpid(pid, 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20, check=True)
    assert sorted(json.loads(line)["msg"] for line in done.stderr.splitlines()) == ["after", "child", "parent"]
