"""HTTP on the bid port as exchanges and strangers speak it: bytes on a socket, answers read by an independent parser.

Nothing that is sent here ends a worker, and nothing whose framing is intact ends a connection.
"""

import contextlib
import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from bidder.settings import Bidder
from tests.blackbox.bid_port import Asker, Json, Sizes, campaign, request
from tests.hosts import Host
from tests.http_wire import Answer, answers_in, post

pytestmark = pytest.mark.blackbox

SIZES = Sizes(6_900)
DOORS = ("bid", "tracker", "controller", "monitor")
MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"{}{}",
    b'{"id":"1",}',
    b'{"id":NaN,"imp":[]}',
    b'{"id":"\xff","imp":[]}',
    b"\xef\xbb\xbf{",
    b"not json",
    b"{" * 5_000,
]
INVALID: list[Json] = [
    {},
    {"id": "1"},
    {"id": "1", "imp": []},
    {"id": "1", "imp": [{}]},
    {"imp": [{"id": "1"}]},
    {"id": "1", "imp": {}},
]


@pytest.fixture(scope="module")
def body(host: Host) -> Iterator[bytes]:
    """A request that is bid on."""
    only = campaign("http", SIZES.of("http"))
    host.campaigns(only)
    yield json.dumps(request(SIZES.of("http"), {})).encode()
    host.campaigns(only | {"status": "archived"})


@pytest.fixture
def workers(host: Host) -> Iterator[list[int]]:
    """They are the same ones afterwards."""
    before = host.pids("worker")
    yield before
    assert host.pids("worker") == before


def speak(host: Host, sent: bytes, least: int = 1) -> list[Answer]:
    """What comes back for these bytes, until there are `least` whole answers or the connection ends."""
    with closing(socket.create_connection(("127.0.0.1", host.base), timeout=10)) as connection:
        connection.sendall(sent)
        return read(connection, least)


def read(connection: socket.socket, least: int) -> list[Answer]:
    data = b""
    while True:
        data += (part := connection.recv(65_536))
        try:
            found = answers_in(data)
        except AssertionError:  # the last one is not whole yet
            found = []
        if len(found) >= least or not part:
            return found


def test_malformed_json_gets_400_without_a_body_and_keeps_the_connection(host: Host, body: bytes) -> None:
    with Asker(host.base) as asker:
        for sent in MALFORMED:
            answer = asker.ask(sent)
            assert (answer.status, answer.body) == (400, b""), sent[:50]
        assert asker.ask(body).campaigns == ["http"]


def test_cut_off_json_gets_400(host: Host, body: bytes) -> None:
    with Asker(host.base) as asker:
        assert {asker.ask(body[:n]).status for n in range(0, len(body), 7)} == {400}


def test_json_that_is_no_request_gets_no_bid(host: Host) -> None:
    with Asker(host.base) as asker:
        for sent in INVALID:
            answer = asker.ask(sent)
            assert (answer.status, answer.body) == (204, b""), sent


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_gets_405_and_is_told_which_is_right(host: Host, body: bytes, method: str) -> None:
    with Asker(host.base) as asker:
        answer = asker.send(method, "/bid/generic")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        assert asker.ask(body).status == 200


@pytest.mark.parametrize(
    "path", ["/bid/nobody", "/bid/", "/bid", "/bid/generic/x", "/bid/GENERIC", "/", "/nothing", "/bid/%67eneric"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_exchange_or_route_gets_404(host: Host, body: bytes, method: str, path: str) -> None:
    with Asker(host.base) as asker:
        assert asker.send(method, path, body if method == "POST" else None).status == 404
        assert asker.ask(body).status == 200


def test_an_oversized_body_gets_413_and_the_largest_is_read(host: Host, body: bytes, workers: list[int]) -> None:
    most = Bidder().max_body_bytes
    largest = body + b" " * (most - len(body))
    assert [answer.status for answer in speak(host, post(largest, path="/bid/generic"))] == [200]
    too_large = post(largest + b" ", path="/bid/generic")
    assert [answer.status for answer in speak(host, too_large.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")] == [413]


def test_pipelined_requests_are_answered_in_their_order(host: Host, body: bytes) -> None:
    names = [f"r-{n}" for n in range(40)]
    sent = [
        b"{" if n % 10 == 3 else json.dumps(json.loads(body) | {"id": name}).encode() for n, name in enumerate(names)
    ]
    answers = speak(host, b"".join(post(one, path="/bid/generic") for one in sent), len(sent))
    assert [answer.status for answer in answers] == [400 if n % 10 == 3 else 200 for n in range(len(sent))]
    assert [json.loads(a.body)["id"] for a in answers if a.body] == [n for i, n in enumerate(names) if i % 10 != 3]


def test_a_request_in_single_bytes_is_read(host: Host, body: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", host.base), timeout=10)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(len(sent := post(body, path="/bid/generic"))):
            connection.sendall(sent[n : n + 1])
        assert [answer.status for answer in read(connection, 1)] == [200]


def test_a_chunked_body_is_read(host: Host, body: bytes) -> None:
    head = b"POST /bid/generic HTTP/1.1\r\nHost: bid.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    assert [answer.status for answer in speak(host, head + chunks + b"0\r\n\r\n")] == [200]


def test_a_compressed_body_is_read(host: Host, body: bytes) -> None:
    with Asker(host.base) as asker:
        packed = asker.send("POST", "/bid/generic", gzip.compress(body), {"Content-Encoding": "gzip"})
        assert packed.campaigns == ["http"]
        broken = asker.send("POST", "/bid/generic", gzip.compress(body)[:-20], {"Content-Encoding": "gzip"})
        assert (broken.status, broken.body) == (400, b"")
        assert asker.ask(body).status == 200


def test_a_compressed_body_that_unpacks_to_too_much_gets_413(host: Host, body: bytes, workers: list[int]) -> None:
    bomb = gzip.compress(b" " * (Bidder().max_body_bytes * 50))
    with Asker(host.base) as asker:
        assert asker.send("POST", "/bid/generic", bomb, {"Content-Encoding": "gzip"}).status == 413


def test_whoever_asks_to_close_or_speaks_http_1_0_is_answered_and_let_go(host: Host, body: bytes) -> None:
    closing_one = speak(host, post(body, "Connection: close", path="/bid/generic"), 2)
    old = speak(host, post(body, path="/bid/generic", version="1.0"), 2)
    assert [len(closing_one), len(old)] == [1, 1]
    assert {closing_one[0].status, old[0].status} == {200}


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /bid/generic HTTP/9.9\r\n\r\n",
        b"POST /bid/generic HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /bid/generic HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /bid/generic HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"GET /" + b"x" * 100_000,
        b"\r\n" * 50_000,
    ],
    ids=["tls", "version", "negative", "two lengths", "length and chunks", "long line", "blank lines"],
)
def test_what_is_no_http_is_refused_and_costs_its_own_connection_only(
    host: Host, body: bytes, workers: list[int], sent: bytes
) -> None:
    with Asker(host.base) as other:
        assert other.ask(body).status == 200
        with closing(socket.create_connection(("127.0.0.1", host.base), timeout=10)) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):  # it had not read all of it
                assert all(400 <= answer.status < 500 or answer.status == 505 for answer in read(connection, 1))
        assert other.ask(body).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_balancers_may_ask_for_the_head_only_and_nobody_may_post_there(host: Host, body: bytes, path: str) -> None:
    with Asker(host.base) as asker:
        head = asker.send("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        posted = asker.send("POST", path, body)
        assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")
        assert asker.ask(body).status == 200


@pytest.mark.parametrize("door", DOORS)
def test_every_server_says_that_it_is_alive_and_ready(host: Host, door: str) -> None:
    assert host.get(door, "/healthz")[0] == 200
    assert host.get(door, "/readyz")[0] == 200
    assert host.get(door, "/nothing")[0] == 404
