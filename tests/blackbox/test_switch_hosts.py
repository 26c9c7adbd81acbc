"""Switches of two hosts, which agree, also after one was away: supervisors alone, without controller or Postgres."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.board import Board
from bidder.ops import control
from tests.conditions import wait_until
from tests.free_ports import free_port
from tests.lone_bidder import LoneBidder

pytestmark = pytest.mark.blackbox

AGREED_S = 5.0  # to find each other again; a flip between hosts that hear each other takes milliseconds
GENERIC = 1  # key of that exchange


class Bidder(LoneBidder):
    """One that knows of other hosts, and its switches."""

    def __init__(self, state: Path, bus: str, hosts: list[str]) -> None:
        super().__init__(state, OUTBID_BIDDER_BUS_LISTEN=bus, OUTBID_BUS_HOSTS=",".join(hosts))

    def flip(self, position: str, **what: Any) -> None:
        request = {"do": "switch", "off": position == "off", **what}
        control.ask(self.state / "run" / "supervisor.sock", request, 5.0)

    def flips(self) -> list[dict[str, Any]]:
        answer = control.ask(self.state / "run" / "supervisor.sock", {"do": "switches"}, 5.0)
        found: list[dict[str, Any]] = answer["flips"]
        return found

    def board(self) -> tuple[bool, bool, int]:
        """What workers see: is everything off, is the exchange, which features are."""
        board = Board(self.state / "shm" / "board", private=True)
        return board.off, board.exchange_off(GENERIC), board.features_off


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Bidder, Bidder]]:
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    a, b = (Bidder(tmp_path / name, bus, hosts) for name, bus in zip("ab", hosts, strict=True))
    try:
        yield a, b
    finally:
        a.end()
        b.end()


def test_two_hosts_agree_and_agree_again_after_one_was_away(pair: tuple[Bidder, Bidder]) -> None:
    a, b = pair
    a.start()
    a.flip("off", exchange="generic")
    b.start()
    wait_until(lambda: b.board() == (False, True, 0), AGREED_S, "what was flipped before it was there")
    b.flip("off")
    wait_until(lambda: a.board() == (True, True, 0), AGREED_S, "the other host")
    a.end()
    b.flip("on")
    b.flip("off", feature="video")
    a.start()
    wait_until(lambda: a.board() == b.board() == (False, True, 8), AGREED_S, "what was flipped while it was away")
    wait_until(lambda: a.flips() == b.flips(), AGREED_S, "who flipped what when to be the same on both")
    assert {flip["host"] for flip in a.flips()} == {(one.state / "host").read_text().strip() for one in pair}
