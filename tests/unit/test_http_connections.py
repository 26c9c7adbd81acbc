"""A connection through its life: timeouts, slow readers, draining. The clock is an argument."""

from typing import Any

from bidder._fast.handler import PythonHandler
from bidder._fast.http import BidProtocol, Connections
from tests.http_wire import Conversation, answers_in, post


def nobid(exchange: bytes, body: bytes) -> tuple[int, bytes]:
    return 204, b""


def swept(talk: Conversation, *times: float) -> None:
    for now in times:
        talk.connections.sweep(now)


def test_head_that_does_not_come_gets_408_although_bytes_trickle_in() -> None:
    talk = Conversation(nobid)
    talk.feed(b"POST ")
    swept(talk, 100.0)
    talk.feed(b"/bid/")
    swept(talk, 109.9)
    assert talk.written == b""
    talk.feed(b"openx ")
    swept(talk, 110.0)
    assert talk.statuses == [408]
    assert talk.wire.half_closed


def test_body_without_progress_gets_408_and_one_with_progress_goes_on() -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"hello")[:-5])
    swept(talk, 100.0)
    talk.feed(b"he")
    swept(talk, 101.9, 102.1)
    assert talk.written == b""
    talk.feed(b"llo")
    assert talk.statuses == [204]
    talk.feed(post(b"hello")[:-1])
    swept(talk, 103.0, 104.9, 105.0)
    assert talk.statuses == [204, 408]


def test_time_of_the_head_begins_anew_with_every_request() -> None:
    talk = Conversation(nobid)
    talk.feed(b"POST ")
    swept(talk, 100.0, 109.0)
    talk.feed(post()[5:] + b"POST ")
    swept(talk, 111.0, 120.0)
    assert talk.statuses == [204]


def test_idle_connection_is_closed_without_a_word() -> None:
    talk = Conversation(nobid)
    talk.feed(post())
    swept(talk, 100.0, 259.9)
    assert not talk.wire.closed
    swept(talk, 260.0)
    assert talk.wire.closed
    assert talk.statuses == [204]


def test_peer_that_does_not_leave_after_a_refusal_is_dropped() -> None:
    talk = Conversation(nobid)
    talk.feed(b"\n")
    assert talk.statuses == [400]
    talk.feed(b"still talking" * 10_000)
    swept(talk, 100.0, 101.9)
    assert not talk.wire.aborted
    swept(talk, 102.0)
    assert talk.wire.aborted


def test_slow_reader_is_not_read_until_it_has_read() -> None:
    talk = Conversation(nobid)
    talk.protocol.pause_writing()
    assert not talk.wire.reading
    talk.protocol.resume_writing()
    assert talk.wire.reading
    talk.feed(post())
    assert talk.statuses == [204]


def test_end_of_the_stream_closes_what_is_half_said() -> None:
    talk = Conversation(nobid)
    talk.feed(post()[:20])
    assert not talk.protocol.eof_received()
    talk.protocol.connection_lost(None)
    assert talk.connections.count == 0
    assert talk.asked == []


def test_connections_are_counted_and_the_last_one_is_announced() -> None:
    emptied: list[int] = []
    connections = Connections(PythonHandler(nobid), lambda *request: None, on_empty=lambda: emptied.append(1))
    talks = [Conversation(nobid, connections=connections) for _ in range(3)]
    assert connections.count == 3
    for talk in talks:
        assert emptied == []
        talk.protocol.connection_lost(None)
    assert connections.count == 0
    assert emptied == [1]


def test_draining_answers_all_that_came_and_says_close_last() -> None:
    talk = Conversation(nobid)
    talk.feed(post())
    talk.connections.draining = True
    talk.feed(post(b"1") + post(b"2") + post(b"3")[:-1])
    assert not talk.wire.closed
    talk.feed(b"3")
    assert [answer.fields.get("connection") for answer in talk.answers] == [None, None, None, "close"]
    assert talk.wire.closed


def test_close_idle_leaves_alone_what_has_begun() -> None:
    connections = Connections(PythonHandler(nobid), lambda *request: None)
    idle, begun = (Conversation(nobid, connections=connections) for _ in range(2))
    begun.feed(post()[:-1])
    assert connections.close_idle() == 1
    assert idle.wire.closed
    assert not begun.wire.closed


def test_silent_connection_made_while_draining_is_closed_soon() -> None:
    talk = Conversation(nobid)
    talk.connections.draining = True
    swept(talk, 100.0, 101.0)
    assert talk.wire.closed


def test_abort_drops_everything() -> None:
    connections = Connections(PythonHandler(nobid), lambda *request: None)
    talks = [Conversation(nobid, connections=connections) for _ in range(2)]
    assert connections.abort() == 2
    assert all(talk.wire.aborted for talk in talks)


class Guests:
    """A route that keeps what it is given."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, ...]] = []
        self.told: list[str] = []

    def __call__(self, connection: BidProtocol, *request: Any) -> "Guests":
        self.requests.append((connection, *request))
        return self

    def connection_lost(self) -> None:
        self.told.append("lost")

    def resume_writing(self) -> None:
        self.told.append("resumed")


def with_guests() -> tuple[Conversation, Guests]:
    guests = Guests()
    return Conversation(nobid, connections=Connections(PythonHandler(nobid), guests)), guests


def test_other_routes_are_handed_on_whole() -> None:
    talk, guests = with_guests()
    talk.feed(b"PUT /x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nl")
    assert guests.requests == []
    talk.feed(b"lo\r\n0\r\n\r\n")
    fields = b"Host: a\r\nTransfer-Encoding: chunked\r\n"
    assert guests.requests == [(talk.protocol, b"PUT", b"/x?y", 1, fields, b"hello", True)]


def test_absolute_target_without_a_path_is_the_root() -> None:
    talk, guests = with_guests()
    talk.feed(b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert guests.requests[0][1:3] == (b"GET", b"/")


def test_requests_behind_one_that_is_away_wait_for_its_answer() -> None:
    talk, guests = with_guests()
    get = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    talk.feed(post() + get + post() + get + post()[:-1])
    assert len(guests.requests) == 1
    assert len(talk.wire.writes) == 1, "the bid before it is answered at once"
    talk.feed(post()[-1:])
    talk.protocol.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    talk.protocol.finish(False)
    assert len(guests.requests) == 2
    talk.protocol.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    talk.protocol.finish(False)
    assert [answer.status for answer in answers_in(talk.written)] == [204, 200, 204, 200, 204]


def test_reading_ahead_behind_a_request_that_is_away_has_a_limit() -> None:
    talk, _ = with_guests()
    request = post(b"x" * 1_000)
    talk.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    talk.feed(request * 1_000)
    assert not talk.wire.reading
    talk.protocol.finish(False)
    assert talk.wire.reading
    assert 50 < len(talk.statuses) < 150, "65,536 bytes and one read more"


def test_guest_is_told_that_the_client_is_gone_or_reads_again() -> None:
    talk, guests = with_guests()
    talk.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    talk.protocol.pause_writing()
    assert not talk.protocol.writable
    talk.protocol.resume_writing()
    talk.protocol.connection_lost(None)
    assert guests.told == ["resumed", "lost"]
    talk.protocol.send(b"into the void")
    talk.protocol.finish(False)
    talk.protocol.abort()
    assert talk.written == b""
    assert talk.protocol.peer is None


def test_answer_that_takes_long_is_not_timed_out_unless_nobody_reads_it() -> None:
    talk, _ = with_guests()
    talk.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    swept(talk, 100.0, 1_000.0)
    assert not talk.wire.aborted
    talk.protocol.pause_writing()
    swept(talk, 1_001.0)
    assert talk.wire.aborted


def test_closing_tells_a_guest_to_say_close_while_draining() -> None:
    talk, _ = with_guests()
    talk.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not talk.protocol.closing
    talk.connections.draining = True
    assert talk.protocol.closing
    talk.feed(post())
    assert not talk.protocol.closing, "a request waits behind it"


def test_body_that_trickles_gets_408_when_its_time_is_over() -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"x" * 100)[:-100])
    for second in range(10):
        swept(talk, 100.0 + second)
        talk.feed(b"x")
    assert talk.written == b""
    swept(talk, 110.0)
    assert talk.statuses == [408]


def test_a_body_has_its_time_for_itself() -> None:
    talk = Conversation(nobid)
    for begin in (100.0, 109.0):
        talk.feed(post(b"x" * 10)[:-10])
        for second in range(9):
            swept(talk, begin + second)
            talk.feed(b"x")
        talk.feed(b"x")
    assert talk.statuses == [204, 204]


def test_connections_are_counted_by_peer() -> None:
    talk = Conversation(nobid)
    other = Conversation(nobid, connections=talk.connections)
    assert talk.connections.held_by("192.0.2.7") == 2
    talk.protocol.connection_lost(None)
    other.protocol.connection_lost(None)
    assert talk.connections.held_by("192.0.2.7") == 0
