"""A real tracker process: killed under load it loses nothing that it answered, and it ends and refuses cleanly."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bidder.events.schema import NoticeKind
from bidder.events.spool import SpoolReader
from bidder.money.tokens import Keys, Sealer, Token, TokenClass, create_keys, seal
from bidder.ops.control import ControlError, ask
from bidder.ops.presence import present
from tests.conditions import wait_until
from tests.free_ports import free_port
from tests.trackers import read_all

TRACKER = """
import json
import sys
from pathlib import Path
from bidder.settings import parse
from bidder.tracking.server import run
run(Path(sys.argv[1]), parse({"tracker": {"listen": sys.argv[2]}} | json.loads(sys.argv[3]), "test"))
"""

pytestmark = pytest.mark.faults


class Process:
    """A tracker that a test started, and its answers."""

    def __init__(
        self, state: Path, port: int, log: Path | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        """`log`: a file that it writes to; otherwise `end` gives what it said."""
        self.state, self.port, self.settings = state, port, json.dumps(settings or {})
        self._log = log
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", TRACKER, str(self.state), f"127.0.0.1:{self.port}", self.settings]
        if self._log is None:
            return subprocess.Popen(command, stderr=subprocess.PIPE)
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stderr=log)

    def status(self, path: str, timeout_s: float = 5.0) -> int:
        """0: no connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            return self.status("/readyz") == 200

        wait_until(ready, 20, "a ready tracker")

    def end(self, number: signal.Signals) -> tuple[int, list[dict[str, object]]]:
        """Exit code, and what it logged."""
        self.process.send_signal(number)
        said = self.process.communicate(timeout=20)[1]
        return self.process.returncode, [json.loads(line) for line in (said or b"").splitlines()]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return create_keys(tmp_path / "keys" / "token.keys")


@pytest.fixture
def tracker(tmp_path: Path, keys: Keys) -> Iterator[Process]:
    tracker = Process(tmp_path, free_port())
    tracker.wait_ready()
    yield tracker
    if tracker.process.poll() is None:
        tracker.end(signal.SIGKILL)


def path_of(sealer: Sealer, n: int) -> str:
    token = Token((30_000_000).to_bytes(4, "big") + n.to_bytes(8, "big"), exchange=1, bid_price=2_000_000)
    return f"/bill/{seal(sealer, TokenClass.NOTICE, token)}?price=1.5"


def send_until_dead(port: int, paths: Iterator[tuple[int, str]], acknowledged: list[int]) -> None:
    """One sender with one connection; notes what was answered 204."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.suppress(OSError, http.client.HTTPException):
        for n, path in paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 204
            acknowledged.append(n)
    connection.close()


def while_answering(acknowledged: list[int], wanted: int) -> None:
    wait_until(lambda: len(acknowledged) >= wanted, 20, f"{wanted} answers")


def test_every_answered_notice_is_in_the_stream_after_kill_9(tracker: Process, keys: Keys, tmp_path: Path) -> None:
    sealer = Sealer(keys)
    acknowledged: list[int] = []
    for life in range(2):
        wanted = len(acknowledged) + 300
        with ThreadPoolExecutor(4) as senders:
            for sender in range(4):
                first = life * 1_000_000 + sender * 100_000
                paths = ((n, path_of(sealer, n)) for n in range(first, first + 100_000))
                senders.submit(send_until_dead, tracker.port, paths, acknowledged)
            while_answering(acknowledged, wanted)
            tracker.end(signal.SIGKILL)
        tracker.process = tracker.start()
        tracker.wait_ready()
        written = {int.from_bytes(notice.bid_id[4:], "big") for notice in read_all(tmp_path / "spool")}
        assert set(acknowledged) <= written
        assert len(written) <= len(acknowledged) + 4 * (life + 1)  # one unanswered a sender and life
    assert all(notice.kind == NoticeKind.BILL and notice.price == 1_500_000 for notice in read_all(tmp_path / "spool"))


def test_flush_covers_all_that_was_answered_before(tracker: Process, keys: Keys, tmp_path: Path) -> None:
    sealer = Sealer(keys)
    for n in range(5):
        assert tracker.status(path_of(sealer, n)) == 204
    control = tmp_path / "run" / "tracker.sock"
    flushed = ask(control, {"do": "flush"}, 5)
    reader = SpoolReader(tmp_path / "spool")
    assert flushed == {"stream": reader.id, "position": reader.durable}
    assert len(read_all(tmp_path / "spool")) == 5
    health = ask(control, {"do": "health"}, 5)
    assert health["healthy"] is True
    assert health["durable"] == flushed["position"]


def test_sigterm_ends_it_without_failing_a_request_and_leaves_nothing_behind(
    tracker: Process, keys: Keys, tmp_path: Path
) -> None:
    [said] = present(tmp_path)
    assert (said["role"], said["address"]) == ("tracker", f"http://127.0.0.1:{tracker.port}")
    sealer = Sealer(keys)
    acknowledged: list[int] = []
    paths = ((n, path_of(sealer, n)) for n in range(100_000))
    sender = threading.Thread(target=send_until_dead, args=(tracker.port, paths, acknowledged))
    sender.start()
    while_answering(acknowledged, 20)
    code, said_lines = tracker.end(signal.SIGTERM)
    sender.join(10)
    assert code == 0
    assert said_lines[-1]["msg"] == "stopped"
    written = [int.from_bytes(notice.bid_id[4:], "big") for notice in read_all(tmp_path / "spool")]
    assert written == acknowledged
    assert present(tmp_path) == []
    assert list((tmp_path / "run").iterdir()) == []
    with pytest.raises(ControlError, match="tracker is not running"):
        ask(tmp_path / "run" / "tracker.sock", {"do": "health"}, 1)


def test_a_second_tracker_on_the_port_or_the_spool_says_so_in_one_line(tracker: Process, tmp_path: Path) -> None:
    for state, port, words in (
        (tmp_path / "other", tracker.port, f"cannot listen on 127.0.0.1:{tracker.port}"),
        (tmp_path, free_port(), "another process writes this spool"),
    ):
        second = Process(state, port)
        said = second.process.communicate(timeout=20)[1].decode()
        assert second.process.returncode == 1
        assert words in said
        assert said.count("\n") == 1


def test_keys_that_come_later_make_it_ready(tmp_path: Path) -> None:
    tracker = Process(tmp_path, free_port())
    try:
        wait_until(lambda: tracker.status("/healthz") == 200, 20, "a living tracker")
        assert tracker.status("/readyz") == 503
        sealer = Sealer(create_keys(tmp_path / "keys" / "token.keys"))
        tracker.wait_ready()
        assert tracker.status(path_of(sealer, 1)) == 204
    finally:
        tracker.end(signal.SIGTERM)
