"""A disk that is full or does not answer, under a real tracker: bidding stops first, nothing acknowledged is lost."""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bidder.money.tokens import Keys, create_keys
from bidder.ops.control import ask
from tests.conditions import wait_until
from tests.faults.senders import Sender
from tests.faults.test_tracker import Process, path_of
from tests.free_ports import free_port
from tests.trackers import read_all
from tests.volumes import NoVolume, Volume, mounted

pytestmark = pytest.mark.faults


class Exchange(Sender):
    """Tells its bills one after the other, each until it is taken."""

    def __init__(self, tracker: Process, keys: Keys, first: int) -> None:
        self.refused: list[int] = []
        self._tracker = tracker
        self._next = first
        super().__init__(keys)

    def _run(self) -> None:
        path = path_of(self._sealer, self._next)
        while not self._stop.wait(0.002):
            status = self._tracker.status(path, timeout_s=20)
            if status == 204:
                self.acknowledged.append(self._next)
                self._next += 1
                path = path_of(self._sealer, self._next)
            elif status == 503:
                self.refused.append(self._next)
                self._stop.wait(0.1)
            elif not self._stop.is_set():
                raise AssertionError(f"an answer that says nothing: {status}")


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(mounted(tmp_path / "spool", tmp_path / "image"))
        except NoVolume as why:
            pytest.skip(str(why))
        yield made


@pytest.fixture
def tracker(tmp_path: Path, volume: Volume) -> Iterator[Process]:
    create_keys(tmp_path / "keys" / "token.keys")
    made = Process(tmp_path, free_port(), tmp_path / "tracker.log")
    made.wait_ready()
    yield made
    volume.thaw()
    if made.process.poll() is None:
        made.end(signal.SIGKILL)


@pytest.fixture
def exchanges(tmp_path: Path, tracker: Process) -> Iterator[list[Exchange]]:
    keys = create_keys(tmp_path / "keys" / "token.keys")
    made = [Exchange(tracker, keys, (n + 1) << 20) for n in range(3)]
    wait_until(lambda: all(len(exchange.acknowledged) > 10 for exchange in made), 20, "notices that are taken")
    yield made
    for exchange in made:
        exchange.end()


def health(state: Path) -> dict[str, Any]:
    return ask(state / "run" / "tracker.sock", {"do": "health"}, 5)


def alarms(state: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (state / "tracker.log").read_text().splitlines()]
    return [line for line in lines if line["msg"] == "not ready"]


def check_all_kept(state: Path, tracker: Process, exchanges: list[Exchange]) -> None:
    """Everything goes on by itself, and what was acknowledged is in the stream, also for the next life."""
    before = [len(exchange.acknowledged) for exchange in exchanges]
    wait_until(lambda: health(state)["healthy"], 30, "a healthy tracker")
    wait_until(
        lambda: all(len(exchange.acknowledged) > n + 10 for exchange, n in zip(exchanges, before, strict=True)),
        30,
        "notices that are taken again",
    )
    for exchange in exchanges:
        exchange.end()
    tracker.end(signal.SIGKILL)
    tracker.process = tracker.start()
    tracker.wait_ready()
    written = {int.from_bytes(notice.bid_id[4:], "big") for notice in read_all(state / "spool")}
    for exchange in exchanges:
        assert exchange.refused
        assert set(exchange.acknowledged) <= written


def test_a_full_disk_stops_bidding_refuses_notices_and_loses_none(
    tmp_path: Path, volume: Volume, tracker: Process, exchanges: list[Exchange]
) -> None:
    volume.fill()
    wait_until(lambda: not health(tmp_path)["healthy"], 20, "the tracker to say that no lease may be drawn")
    wait_until(lambda: all(exchange.refused for exchange in exchanges), 20, "notices that are refused")
    [alarm] = wait_until(lambda: alarms(tmp_path), 20, "the alarm")
    assert (alarm["level"], alarm["stream"]) == ("error", f"{tmp_path / 'spool'}: No space left on device")
    volume.free()
    check_all_kept(tmp_path, tracker, exchanges)


def test_a_disk_that_does_not_answer_stops_bidding_and_costs_no_acknowledged_notice(
    tmp_path: Path, volume: Volume, tracker: Process, exchanges: list[Exchange]
) -> None:
    volume.freeze()
    wait_until(lambda: not health(tmp_path)["healthy"], 20, "the tracker to say that no lease may be drawn")
    [alarm] = wait_until(lambda: alarms(tmp_path), 20, "the alarm")
    assert "no answer for" in alarm["stream"]
    wait_until(lambda: all(exchange.refused for exchange in exchanges), 20, "notices that are refused")
    volume.thaw()
    check_all_kept(tmp_path, tracker, exchanges)
