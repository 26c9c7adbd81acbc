"""Who is read, answered and served, in the line of connections; and what a connection that was not read is told."""

import pytest

from bidder._fast import favour
from bidder._fast.handler import PythonHandler
from bidder._fast.http import Connections
from tests.http_wire import Conversation, no_route, post


class Line:
    """Ten connections each of two exchanges, which have all asked once."""

    def __init__(self) -> None:
        handler = PythonHandler(lambda exchange, body: (200, body), lanes={b"rich": 1, b"poor": 2})
        self.connections = Connections(handler, no_route)
        self.talks = {name: [self._talk(name) for _ in range(10)] for name in ("rich", "poor")}

    def _talk(self, name: str) -> Conversation:
        talk = Conversation(lambda exchange, body: (500, b""), connections=self.connections)
        talk.feed(post(path=f"/bid/{name}"))
        return talk

    def sort(self, now_s: float, read_to: float, serve_to: float) -> int:
        return favour.sort(self.connections, now_s, read_to, serve_to, [1, 2])

    def reading(self, name: str) -> int:
        return sum(talk.wire.reading for talk in self.talks[name])

    def told(self, talk: Conversation, name: str) -> int:
        talk.wire.writes.clear()
        talk.feed(post(path=f"/bid/{name}"))
        return talk.statuses[0] if talk.wire.writes else 0


def test_the_poor_are_not_read_before_one_of_the_rich_is() -> None:
    line = Line()
    assert line.sort(1.0, 0.5, 0.5) == 10
    assert (line.reading("rich"), line.reading("poor")) == (10, 0)
    line = Line()
    unread = line.sort(1.0, 0.75, 0.75)
    assert (line.reading("rich"), line.reading("poor")) == (10, 10 - unread)
    assert 3 <= unread <= 7


def test_between_the_served_and_the_unread_are_the_answered() -> None:
    line = Line()
    assert line.sort(1.0, 1.0, 0.5) == 0
    assert [line.told(talk, "rich") for talk in line.talks["rich"]] == [200] * 10
    assert [line.told(talk, "poor") for talk in line.talks["poor"]] == [204] * 10


def test_the_same_are_left_out_as_long_as_it_lasts() -> None:
    line = Line()
    line.sort(1.0, 0.3, 0.3)
    before = [talk.wire.reading for talk in line.talks["rich"]]
    line.sort(1.01, 0.3, 0.3)
    assert [talk.wire.reading for talk in line.talks["rich"]] == before


def test_nobody_is_unread_for_longer_than_a_second_and_what_waited_gets_no_bid() -> None:
    line = Line()
    line.sort(1.0, 0.5, 0.5)
    talk = line.talks["poor"][0]
    now = 1.0
    while not talk.wire.reading:
        now += 0.1
        line.sort(now, 0.5, 0.5)
        assert now <= 2.0
    assert line.told(talk, "poor") == 204
    assert not talk.wire.reading, "one look, and no more"


def test_a_look_that_finds_nothing_ends_with_the_next_tick() -> None:
    line = Line()
    line.sort(1.0, 0.5, 0.5)
    line.sort(1.9, 0.5, 0.5)
    assert line.reading("poor") == 10
    line.sort(2.0, 0.5, 0.5)
    assert line.reading("poor") == 0
    assert line.connections.unread == 10


def test_back_in_favour_what_had_waited_is_shed_and_the_next_is_served() -> None:
    line = Line()
    line.sort(1.0, 0.5, 0.5)
    assert line.sort(1.1, 1.0, 1.0) == 0
    talk = line.talks["poor"][0]
    assert line.told(talk, "poor") == 204
    assert line.told(talk, "poor") == 200


def test_a_new_connection_is_not_served_where_its_lot_would_not_be() -> None:
    line = Line()
    line.sort(1.0, 0.0, 0.0)
    assert line.told(Conversation(lambda exchange, body: (500, b""), connections=line.connections), "rich") == 204


def test_a_connection_without_a_bid_request_is_left_alone() -> None:
    line = Line()
    silent = Conversation(lambda exchange, body: (500, b""), connections=line.connections)
    line.sort(1.0, 0.0, 0.0)
    assert silent.wire.reading


def test_timeouts_do_not_run_for_whom_we_do_not_read() -> None:
    line = Line()
    talk = line.talks["poor"][0]
    talk.wire.writes.clear()
    talk.feed(post(b"hello", path="/bid/poor")[:-1])
    line.sort(1.0, 0.0, 0.0)
    for now in (10.0, 20.0, 30.0):
        line.connections.sweep(now)
    assert talk.written == b""


def test_a_lost_connection_is_unread_no_more() -> None:
    line = Line()
    assert line.sort(1.0, 0.5, 0.5) == 10
    line.talks["poor"][0].protocol.connection_lost(None)
    assert line.connections.unread == 9


@pytest.mark.parametrize("turn", [0.0, 0.25, 0.5, 0.75])
def test_lots_go_round_and_lanes_of_no_known_worth_stand_in_line_too(turn: float) -> None:
    line = Line()
    assert favour.sort(line.connections, 1.0, 0.25, 0.25, [], turn) in range(13, 18)
    assert line.reading("rich") > line.reading("poor") == 0
