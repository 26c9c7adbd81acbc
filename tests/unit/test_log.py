"""The log never blocks, counts what it drops, and holds no values of exceptions."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bidder.ops import log as log_module
from bidder.ops.log import FATAL_SLOTS, FIRST, INTERVAL_S, KINDS, Log, Sink
from bidder.ops.logfile import LOOK_S, LogFile


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


def test_last_words_have_room_in_a_full_queue_and_are_written_first(lines: Lines) -> None:
    sink, log = make(lines, capacity=5)
    lines.gate.clear()
    log.info("held by the writer")
    assert lines.entered.wait(5)
    for n in range(9):
        log.error(f"trouble {n}")
    for n in range(FATAL_SLOTS + 3):
        log.fatal("ended by an exception", n=n)
    assert sink.counts() == {"written": 0, "dropped": 4 + 3, "suppressed": 0, "waiting": 5 + 2 * FATAL_SLOTS}
    lines.gate.set()
    assert sink.flush(5)
    said = [record["msg"] for record in lines.records]
    assert said[1 : FATAL_SLOTS + 1] == ["ended by an exception"] * FATAL_SLOTS
    assert said[FATAL_SLOTS + 1 : FATAL_SLOTS + 6] == [f"trouble {n}" for n in range(5)]


def test_what_nobody_catches_is_a_fatal_line_without_its_values() -> None:
    script = (
        "from bidder.ops import log\n"
        "log.keep_last_words('tracker')\n"
        "log.get('tracker').info('begun')\n"
        "raise ExceptionGroup('all', [KeyError('10.1.2.3'), ValueError('10001')])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20, check=False)
    assert done.returncode == 1
    [last] = [r for r in map(json.loads, done.stderr.splitlines()) if r["level"] == "fatal"]
    assert (last["role"], last["error"]) == ("tracker", "ExceptionGroup")
    assert [inner["error"] for inner in last["of"]] == ["KeyError", "ValueError"]
    assert b"10.1.2.3" not in done.stderr


FLOOD = """
import json, os, resource, sys
from bidder.ops import log as logs
log = logs.get("worker")
log.info("begun")
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before = rss()
for n in range(300_000):
    log.error("cannot reach the store", peer=n, text="x" * 400)
    if n % 100 == 0:
        log.warning(f"message {n}", text="y" * 400)
log.fatal("dying")
print(json.dumps({"grown": rss() - before} | logs.counts()), flush=True)
sys.stdin.readline()
assert logs.flush(10)
"""


def test_a_flood_of_errors_on_a_disk_that_hangs_takes_little_memory_and_is_counted() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)  # full: whoever writes a byte more waits, as on a disk that hangs
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writing
    ) as child:
        os.close(writing)
        assert child.stdin is not None
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        assert said["grown"] < 20 << 20
        assert said["dropped"] + said["suppressed"] + said["waiting"] > 303_000
        assert said["written"] == 0
        child.stdin.write(b"\n")
        child.stdin.close()
        with os.fdopen(reading, "rb") as pipe:
            lines = pipe.read().decode().splitlines()
        assert child.wait(20) == 0
    records = [json.loads(line.lstrip("x")) for line in lines]
    assert records[1]["msg"] == "dying"  # but for what the writer was in, before all that waited
    repeated = [r for r in records if r["msg"] == "cannot reach the store"]
    assert [r["peer"] for r in repeated if "peer" in r][:FIRST] == list(range(FIRST))
    kept_back = sum(r.get("suppressed", 0) + r.get("dropped", 0) for r in records)
    assert kept_back == said["dropped"] + said["suppressed"]


def test_a_full_file_is_renamed_and_no_line_of_several_processes_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log" / "supervisor.log"
    clock = Clock()
    one, other = (LogFile(path, 1_000, 3, monotonic=clock) for _ in range(2))
    for n in range(100):
        clock.now += LOOK_S
        one.write(b"one %02d %s\n" % (n, b"-" * 20))
        other.write(b"other %02d %s\n" % (n, b"-" * 18))
    parts = [path, *(path.with_name(f"supervisor.log.{n}") for n in (1, 2, 3))]
    assert sorted(path.parent.iterdir()) == sorted(parts)
    kept = b"".join(part.read_bytes() for part in reversed(parts)).splitlines()
    assert all(part.stat().st_size < 1_000 + 2 * 28 for part in parts)
    assert [line.split()[1] for line in kept if line.startswith(b"one ")][-50:] == [b"%02d" % n for n in range(50, 100)]
    assert len(kept) == len(set(kept)) > 100


def test_why_a_role_cannot_start_is_said_to_the_terminal_and_kept_in_its_log(tmp_path: Path) -> None:
    file = tmp_path / "controller.log"
    done = subprocess.run(
        [sys.executable, "-m", "bidder", "controller", "--state", str(tmp_path / "state")],
        env=os.environ | {"OUTBID_LOG_FILE": str(file)}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    [record] = map(json.loads, file.read_text().splitlines())
    assert (record["level"], record["role"], record["msg"]) == ("fatal", "controller", "cannot start")
    assert line == f"outbid controller: {record['why']}"


WRITER = """
import itertools, sys
from pathlib import Path
from bidder.ops.logfile import LogFile
file = LogFile(Path(sys.argv[1]), 20_000, 400, monotonic=itertools.count().__next__)  # looks before each line
for n in range(2_000):
    file.write(b"%s %d %s\\n" % (sys.argv[2].encode(), n, b"-" * 100))
"""


def test_processes_that_rotate_one_file_at_the_same_time_lose_and_cut_no_line(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    parts = sorted(path.parent.glob("supervisor.log*"))
    assert 20 < len(parts) <= 401
    words = [line.split() for part in parts for line in part.read_bytes().splitlines()]
    assert all(len(line) == 3 and line[2] == b"-" * 100 for line in words)
    assert sorted((line[0], int(line[1])) for line in words) == [
        (name, n) for name in (b"a", b"b", b"c") for n in range(2_000)
    ]


def test_stderr_goes_over_to_the_new_file_with_the_log(tmp_path: Path) -> None:
    path = tmp_path / "tracker.log"
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from bidder.ops.logfile import LogFile\n"
        "file = LogFile(Path(sys.argv[1]), 100, 2, monotonic=iter(range(0, 999, 9)).__next__)\n"
        "for n in range(3):\n"
        "    file.write(b'%d' % n * 99 + b'\\n')\n"
        "os.write(2, b'crash\\n')\n"
    )
    with path.open("ab") as stderr:
        subprocess.run([sys.executable, "-c", script, str(path)], stderr=stderr, timeout=20, check=True)
    assert path.read_bytes() == b"2" * 99 + b"\ncrash\n"
    assert path.with_name("tracker.log.2").read_bytes() == b"0" * 99 + b"\n"
