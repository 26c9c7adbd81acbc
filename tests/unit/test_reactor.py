"""The reactor: sockets in batches, each connection with its own answers, whole and in order, until its end."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bidder._fast import favour
from bidder._fast.handler import PythonHandler
from bidder._fast.http import BidProtocol, Connections
from tests.conditions import wait_until
from tests.http_wire import answers_in, no_route, post
from tests.socket_wire import Hall, Peer


def echo(exchange: bytes, body: bytes) -> tuple[int, bytes]:
    return 200, body


Halls = Callable[..., Hall]


@pytest.fixture
def hall() -> Iterator[Halls]:
    """A hall of an answer, a route and options of the handler; all are closed when the test is over."""
    opened: list[Hall] = []

    def open_one(answer: Any = echo, route: Any = no_route, **options: Any) -> Hall:
        opened.append(Hall(Connections(PythonHandler(answer, **options), route)))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def told(peers: list[Peer], n: int = 1) -> list[list[bytes]]:
    return [[answer.body for answer in peer.told(n)] for peer in peers]


def test_answers_of_a_pipelined_burst_come_in_order(hall: Halls) -> None:
    place = hall()
    peer = place.enter()
    bodies = [b"%d" % n * (n % 300 + 1) for n in range(600)]
    peer.say(b"".join(map(post, bodies)))
    assert told([peer], len(bodies)) == [bodies]
    assert place.quiet


@pytest.mark.parametrize("connections", [2, 31, 32, 33, 150])
def test_each_connection_of_a_batch_gets_its_own_answers(hall: Halls, connections: int) -> None:
    place = hall()
    peers = place.enter_all(connections)
    for turn in range(3):
        bodies = [[b"%d-%d-%d" % (turn, n, k) * (n + 1) for k in range(n % 4 + 1)] for n in range(connections)]
        for peer, mine in zip(peers, bodies, strict=True):
            peer.say(b"".join(map(post, mine)))
        place.turn()
        for peer, mine in zip(peers, bodies, strict=True):
            peer.heard = b""
            assert [answer.body for answer in peer.told(len(mine))] == mine
    assert place.quiet


def test_more_than_a_batch_can_hold_is_read_and_answered_in_parts(hall: Halls) -> None:
    place = hall()
    peers = place.enter_all(12)
    bodies = [bytes([65 + n]) * (40_000 + n) for n in range(12)]  # nearly twice the memory of all connections
    for peer, body in zip(peers, bodies, strict=True):
        peer.say(post(body))
    assert told(peers) == [[body] for body in bodies]


def test_bodies_that_take_many_reads_come_together_on_many_connections(hall: Halls) -> None:
    place = hall()
    peers = place.enter_all(6)
    bodies = [bytes([65 + n]) * (200_000 + n) for n in range(6)]
    requests = [post(body) for body in bodies]
    for at in range(0, 201_000, 20_000):
        for peer, request in zip(peers, requests, strict=True):
            if at < len(request):
                peer.say(request[at : at + 20_000])
        place.turn()
    assert told(peers) == [[body] for body in bodies]


def test_a_slow_reader_is_not_read_until_its_answers_are_taken_and_gets_them_whole(hall: Halls) -> None:
    asked: list[bytes] = []

    def noted(exchange: bytes, body: bytes) -> tuple[int, bytes]:
        asked.append(body)
        return 200, body * 300

    place = hall(noted)
    slow, quick = place.enter(receive_bytes=8_192), place.enter()
    bodies = [b"%04d" % n * 250 for n in range(12)]
    slow.say(b"".join(map(post, bodies[:6])))
    place.turn()
    assert not slow.protocol.writable
    assert place.waiting() > 1_000_000
    slow.say(b"".join(map(post, bodies[6:])))
    quick.say(post(b"quick"))
    assert quick.told(1)[0].body == b"quick" * 300, "others are served meanwhile"
    assert asked == [*bodies[:6], b"quick"]
    assert place.quiet, "what a held connection says does not wake the loop"
    assert told([slow], len(bodies)) == [[body * 300 for body in bodies]]
    assert slow.protocol.writable
    assert (place.waiting(), place.quiet) == (0, True)


class Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _before = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")
    _fields_ = [(name, ctypes.c_size_t) for name in (*_before, "uordblks", "fordblks", "keepcost")]


def in_use() -> int:
    """Bytes that malloc has given out."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Mallinfo
    found = ask()
    return int(found.uordblks + found.hblkhd)


def test_memory_of_answers_that_waited_is_given_back(hall: Halls) -> None:
    size = 1_500_000
    place = hall(lambda exchange, body: (200, body * (size // 10)))
    peers = place.enter_all(30, receive_bytes=65_536)
    before = in_use()
    for peer in peers:
        peer.say(post(b"0123456789"))
        place.turn()
    assert place.waiting() > 30 * size // 2
    assert in_use() - before > 30 * size // 2
    for peer in peers:
        peer.hears(lambda heard: len(heard) > size)
        peer.heard = b""
    assert in_use() - before < 30 * size // 3


def test_a_slow_reader_that_goes_is_let_go_with_what_it_did_not_take(hall: Halls) -> None:
    place = hall(lambda exchange, body: (200, body * 100_000))
    slow = place.enter(receive_bytes=8_192)
    slow.say(post(b"0123456789"))
    place.turn()
    assert place.waiting()
    slow.reset()
    place.turn()
    assert (place.connections.count, place.waiting(), place.loop.watched) == (0, 0, {})


def test_a_peer_that_resets_before_its_turn_is_dropped_and_others_are_served(hall: Halls) -> None:
    place = hall()
    peers = place.enter_all(9)
    for n, peer in enumerate(peers):
        peer.say(post(b"%d" % n))
    for peer in peers[::3]:
        peer.reset()
    place.turn()
    rest = [peer for n, peer in enumerate(peers) if n % 3]
    assert told(rest) == [[b"%d" % n] for n in range(9) if n % 3]
    assert place.connections.count == len(rest)


def test_a_peer_that_resets_while_its_batch_is_answered_is_dropped_and_others_are_served(hall: Halls) -> None:
    def answer(exchange: bytes, body: bytes) -> tuple[int, bytes]:
        if body == b"0":
            for peer in peers[1::2]:
                peer.reset()
        return 200, body

    place = hall(answer)
    peers = place.enter_all(8)
    for n, peer in enumerate(peers):
        peer.say(post(b"%d" % n) + post(b"again"))
    place.turn()
    assert told(peers[::2], 2) == [[b"%d" % n, b"again"] for n in range(0, 8, 2)]
    assert (place.connections.count, place.quiet) == (4, True)


def test_a_peer_that_half_closes_behind_its_request_gets_its_answer_and_then_the_end(hall: Halls) -> None:
    place = hall()
    peers = place.enter_all(5)
    for n, peer in enumerate(peers):
        peer.say(post(b"%d" % n))
        if n % 2:
            peer.half_close()
    place.turn()
    assert [answers_in(peer.end())[0].body for peer in peers[1::2]] == [b"1", b"3"]
    assert told(peers[::2]) == [[b"0"], [b"2"], [b"4"]]
    assert place.connections.count == 3


def test_a_slow_reader_that_half_closes_still_gets_all_of_its_answer(hall: Halls) -> None:
    place = hall(lambda exchange, body: (200, body * 100_000))
    slow = place.enter(receive_bytes=8_192)
    slow.say(post(b"01234"))
    slow.half_close()
    place.turn()
    assert place.connections.count == 1
    assert answers_in(slow.end())[0].body == b"01234" * 100_000
    wait_until(lambda: (place.turn(), place.connections.count == 0)[1], 10, "the end of the connection")


def test_a_refused_request_gets_its_answer_then_half_the_end_and_what_follows_is_dropped(hall: Halls) -> None:
    asked: list[bytes] = []

    def noted(exchange: bytes, body: bytes) -> tuple[int, bytes]:
        asked.append(body)
        return 200, body

    place = hall(noted)
    good, bad = place.enter_all(2)
    good.say(post(b"before"))
    bad.say(post(b"first") + b"POST /bid/openx HTTP/1.1\r\nno colon\r\n\r\n" + post(b"never"))
    place.turn()
    assert [answer.status for answer in answers_in(bad.end())] == [200, 400]
    assert place.connections.count == 2, "half closed: the peer may read before it goes"
    bad.say(post(b"never"))
    place.turn()
    assert place.quiet
    assert told([good]) == [[b"before"]]
    bad.sock.close()
    wait_until(lambda: (place.turn(), place.connections.count == 1)[1], 10, "the end of the connection")
    assert (sorted(asked), place.quiet) == ([b"before", b"first"], True)


def test_a_connection_that_is_told_to_close_is_closed_behind_its_answer(hall: Halls) -> None:
    place = hall()
    first, second = place.enter_all(2)
    first.say(post(b"1") + post(b"2", "Connection: close"))
    second.say(post(b"3", "Connection: close") + post(b"dropped"))
    place.turn()
    assert [answer.body for answer in answers_in(first.end())] == [b"1", b"2"]
    assert [answer.body for answer in answers_in(second.end())] == [b"3"]


class Guest:
    """A route's answer to one request, given when the test says so."""

    def __init__(self, connection: BidProtocol, target: bytes) -> None:
        self.connection = connection
        self.target = target
        self.lost = False

    def answer(self) -> None:
        self.connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self.target), self.target))
        self.connection.finish(False)

    def connection_lost(self) -> None:
        self.lost = True

    def resume_writing(self) -> None:
        pass


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bid.example\r\n\r\n".encode()


def guests(found: list[Guest]) -> Any:
    def route(connection: BidProtocol, method: bytes, target: bytes, *rest: Any) -> Guest:
        found.append(Guest(connection, target))
        return found[-1]

    return route


def test_bids_before_and_behind_what_the_route_answers_keep_their_order(hall: Halls) -> None:
    away: list[Guest] = []
    place = hall(route=guests(away))
    peers = place.enter_all(3)
    for n, peer in enumerate(peers):
        peer.say(post(b"a%d" % n) + post(b"b%d" % n) + get(f"/{n}") + post(b"c%d" % n) + post(b"d%d" % n))
    place.turn()
    assert told(peers, 2) == [[b"a%d" % n, b"b%d" % n] for n in range(3)]
    peers[0].say(post(b"e"))
    peers[1].say(post(b"f"))
    place.turn()
    for guest in reversed(away):
        guest.answer()
    assert told([peers[0]], 6) == [[b"a0", b"b0", b"/0", b"c0", b"d0", b"e"]]
    assert told([peers[1]], 6) == [[b"a1", b"b1", b"/1", b"c1", b"d1", b"f"]]
    assert told([peers[2]], 5) == [[b"a2", b"b2", b"/2", b"c2", b"d2"]]
    assert place.quiet


def test_a_route_learns_that_its_client_is_gone(hall: Halls) -> None:
    away: list[Guest] = []
    place = hall(route=guests(away))
    peer, other = place.enter_all(2)
    peer.say(get("/x"))
    place.turn()
    peer.reset()
    other.say(post(b"1"))
    place.turn()
    assert [guest.lost for guest in away] == [True]
    assert told([other]) == [[b"1"]]
    away[0].answer()
    assert place.connections.count == 1


def test_a_connection_that_fails_in_a_batch_is_dropped_alone(hall: Halls, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*arguments: Any) -> Any:
        raise ZeroDivisionError

    place = hall(route=broken)
    peers = place.enter_all(5)
    for n, peer in enumerate(peers):
        peer.say(post(b"%d" % n) + (get("/boom") if n in (1, 3) else post(b"more")) + post(b"last"))
    place.turn()
    assert told(peers[::2], 3) == [[b"%d" % n, b"more", b"last"] for n in (0, 2, 4)]
    assert all(b"200" not in peer.end() for peer in peers[1::2])
    assert (place.connections.count, place.quiet) == (3, True)
    assert [record.getMessage() for record in caplog.records] == ["a connection failed, and is dropped"] * 2
    assert "ZeroDivisionError" in caplog.text


def test_an_interrupt_in_a_batch_goes_on_when_the_others_have_their_answers(hall: Halls) -> None:
    def route(*request: object) -> None:
        raise KeyboardInterrupt

    place = hall(route=route)
    peers = place.enter_all(4)
    for n, peer in enumerate(peers):
        peer.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" if n == 1 else post(b"%d" % n))
    with pytest.raises(KeyboardInterrupt):
        place.turn()
    rest = [peer for n, peer in enumerate(peers) if n != 1]
    assert told(rest) == [[b"0"], [b"2"], [b"3"]]
    assert place.connections.count == 3


def test_abort_drops_all_at_once_answered_or_not(hall: Halls) -> None:
    place = hall(lambda exchange, body: (200, body * 100_000))
    peers = place.enter_all(100, receive_bytes=8_192)
    for peer in peers[::2]:
        peer.say(post(b"0123456789"))
    place.turn()
    assert place.connections.abort() == 100
    place.turn()
    assert (place.connections.count, place.waiting(), place.loop.watched) == (0, 0, {})
    assert all(peer.ours.fileno() < 0 for peer in peers)


def test_closing_what_is_idle_leaves_what_has_begun(hall: Halls) -> None:
    place = hall()
    peers = place.enter_all(40)
    for peer in peers[::2]:
        peer.say(post(b"hello")[:-1])
    place.turn()
    assert place.connections.close_idle() == 20
    place.turn()
    assert place.connections.count == 20
    for peer in peers[::2]:
        peer.say(b"o")
    assert told(peers[::2]) == [[b"hello"]] * 20
    assert all(peer.end() == b"" for peer in peers[1::2])


def test_the_loop_watches_while_there_is_a_connection_and_only_then(hall: Halls) -> None:
    place = hall()
    assert place.loop.watched == {}
    for _ in range(3):
        first, second = place.enter_all(2)
        assert len(place.loop.watched) == 1
        first.say(post(b"1"))
        assert (told([first]), place.quiet) == ([[b"1"]], True)
        for peer, left in ((first, 1), (second, 0)):
            peer.sock.close()
            wait_until(lambda left=left: (place.turn(), place.connections.count == left)[1], 10, "the end")  # type: ignore[misc]
            assert len(place.loop.watched) == left


def test_a_connection_out_of_favour_wakes_nobody_until_its_peer_resets(hall: Halls) -> None:
    place = hall(lanes={b"openx": 2})
    unread, other = place.enter_all(2)
    unread.say(post(b"1"))
    assert told([unread]) == [[b"1"]]
    assert favour.sort(place.connections, 1.0, 0.0, 0.0, [2]) == 1
    unread.say(post(b"2"))
    assert place.quiet
    unread.reset()
    assert not place.quiet
    place.turn()
    assert (place.connections.count, place.connections.unread, place.quiet) == (1, 0, True)
    other.sock.close()


def test_a_connection_back_in_favour_is_read_on(hall: Halls) -> None:
    place = hall(lanes={b"openx": 2})
    peer = place.enter()
    peer.say(post(b"1"))
    place.turn()
    favour.sort(place.connections, 1.0, 0.0, 0.0, [2])
    peer.say(post(b"2"))
    favour.sort(place.connections, 1.01, 1.0, 1.0, [2])
    assert [answer.status for answer in peer.told(2)] == [200, 204], "what has waited unread is answered with a no-bid"
    favour.sort(place.connections, 1.02, 1.0, 1.0, [2])
    peer.say(post(b"3"))
    assert [answer.status for answer in peer.told(3)] == [200, 204, 200]
