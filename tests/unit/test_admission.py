"""How long a request has waited, by the loop's turns; what has waited too long is shed. The clock is set by hand."""

import pytest

from bidder._fast.admission import Admission
from bidder._fast.clock import HandClock
from bidder._fast.handler import PythonHandler
from bidder._fast.http import Connections
from bidder.outcome import Reason
from tests.http_wire import Conversation, no_route, post
from tests.worlds import World, campaign, request

MS = 1_000_000


class Loop:
    """One worker's loop as admission sees it: connections that are read in turns, each costing what `serve` says."""

    def __init__(self, cost_ns: int = MS // 10, connections: int = 40) -> None:
        self.clock = HandClock(0, 1_000 * MS)
        self.admission = Admission(self.clock)
        self.cost_ns = cost_ns
        handler = PythonHandler(self._serve, admission=self.admission, lanes={b"openx": 1, b"pubmatic": 2})
        self.connections = Connections(handler, no_route)
        self.talks = [Conversation(self._serve, connections=self.connections) for _ in range(connections)]

    def _serve(self, exchange: bytes, body: bytes) -> tuple[int, bytes]:
        self.clock.monotonic += self.cost_ns
        return 200, b"{}"

    def turn(self, reads: int, exchange: str = "openx", *, first: int = 0, every: bool = True) -> list[int]:
        """What the connections from `first` on are answered in one turn; `every`: these were all that had come."""
        said = []
        self.admission.polls()
        self.admission.polled(every)
        for talk in self.talks[first : first + reads]:
            talk.wire.writes.clear()
            talk.feed(post(path=f"/bid/{exchange}"))
            said += talk.statuses
        self.admission.turn_ends(reads)
        return said

    def idle(self, ms: float) -> None:
        self.clock.monotonic += round(ms * MS)


def test_nothing_is_shed_while_turns_are_short() -> None:
    loop = Loop()
    for _ in range(100):
        assert loop.turn(12) == [200] * 12


def test_what_comes_late_in_a_long_turn_is_shed() -> None:
    loop = Loop(cost_ns=2 * MS)
    loop.idle(5)
    # Each waits for those before it: 0, 2, ... 10 ms.
    assert loop.turn(12) == [200] * 6 + [204] * 6


def test_a_turn_right_behind_a_long_one_has_waited_as_long() -> None:
    loop = Loop(cost_ns=MS)
    loop.turn(12)
    assert loop.turn(3) == [204] * 3


def test_a_turn_that_the_poll_waited_for_has_not() -> None:
    loop = Loop(cost_ns=MS)
    loop.turn(12)
    loop.idle(1)
    assert loop.turn(3) == [200] * 3


def test_what_a_poll_left_behind_has_waited_since_the_last_one_that_left_nothing() -> None:
    loop = Loop(cost_ns=MS)
    loop.turn(1)
    assert loop.turn(7, every=False) == [200] * 7
    assert loop.turn(4, first=8) == [200, 200, 204, 204], "8 ms, and one more each"


def test_who_was_read_lately_cannot_have_waited_long() -> None:
    loop = Loop(cost_ns=MS)
    loop.turn(7, every=False)
    loop.turn(7, every=False, first=7)
    assert loop.turn(2, every=False, first=7) == [200] * 2, "they said nothing more when they were read, 7 ms ago"
    assert loop.turn(2, first=20) == [204] * 2, "these may have been ready all the time"


def test_a_stall_of_the_loop_counts_as_waiting() -> None:
    loop = Loop()
    began = loop.clock.monotonic
    loop.idle(30)
    loop.admission.stalled(began)
    assert loop.turn(2) == [204, 204]
    loop.idle(30)
    assert loop.turn(2) == [200, 200]


def test_every_lane_has_a_budget_of_its_own() -> None:
    loop = Loop()
    loop.admission.set_budget(2, 50 * MS)
    began = loop.clock.monotonic
    loop.idle(30)
    loop.admission.stalled(began)
    assert loop.turn(1, "openx") == [204]
    assert loop.turn(1, "pubmatic") == [200]


def test_a_sample_counts_by_lane_and_begins_anew() -> None:
    loop = Loop()
    loop.turn(3, "pubmatic")
    loop.admission.earned(2, 700)
    assert loop.admission.sample()[0] == {2: (3, 0, 700)}
    assert loop.admission.sample() == ({}, 0)


@pytest.mark.parametrize("lane", [0, 64, -1])
def test_a_lane_is_the_key_of_an_exchange(lane: int) -> None:
    admission = Admission()
    with pytest.raises(ValueError, match=f"lane={lane}"):
        admission.set_budget(lane, MS)
    with pytest.raises(ValueError, match=f"lane={lane}"):
        admission.earned(lane, 1)
    with pytest.raises(ValueError, match="budget_ns=0"):
        admission.set_budget(1, 0)


def test_a_shed_request_is_counted_with_its_reason_and_without_what_was_not_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    world = World(tmp_path, [campaign()])
    connections = Connections(world.decider, no_route)
    talk = Conversation(lambda exchange, body: (500, b""), connections=connections)
    began = world.clock.monotonic
    world.clock.monotonic += 11 * MS
    world.decider.admission.stalled(began)
    world.decider.admission.polls()
    talk.feed(post(b"this is not even JSON"))
    assert talk.statuses == [204]
    rows = world.drain()
    assert {(row.exchange, row.country, row.os, row.n) for row in rows} == {(2, 0, 0, 1)}
    assert [row.reason for row in rows if row.kind == 3] == [Reason.OVERLOAD]
    assert len(rows) == 3  # request, no-bid, latency
    world.clock.monotonic += 11 * MS
    assert world.ask(request()).status == 200
