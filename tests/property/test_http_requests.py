"""The listener reads requests as an independent parser (llhttp) does, however they are split, and survives anything."""

import itertools
import random
from typing import Any

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bidder._fast.handler import PythonHandler
from bidder._fast.http import Connections
from tests.http_wire import Conversation, post


def echo(exchange: bytes, body: bytes) -> tuple[int, bytes]:
    return 200, body


class Elsewhere:
    """A route that never answers: what it gets is the last that the listener reads of a connection."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []

    def __call__(
        self, connection: object, method: bytes, target: bytes, minor: int, fields: bytes, body: bytes, keep: bool
    ) -> Any:
        self.requests.append((target, body))
        return self

    def connection_lost(self) -> None:
        pass


class Reference:
    """Whole requests as llhttp reads them, but for those that the listener answers by itself (405)."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.error: Exception | None = None
        self._url = self._body = b""
        self._parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"POST" or not self._url.startswith(b"/bid/"):
            self.requests.append((self._url, self._body))

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.error = error


def split(data: bytes, cuts: list[float]) -> list[bytes]:
    """`data` in pieces; each cut is a share of its length."""
    places = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


small = st.binary(max_size=60)
large = st.integers(0, 70_000).map(lambda n: b"b" * n)
spaces = st.text(" \t", max_size=2).map(str.encode)
names = st.sampled_from(
    [b"X-A", b"user-agent", b"Accept-Encoding", b"x-openrtb-version", b"Content-Type", b"X!#$%'*+-.^_`|~"]
)
values = st.binary(max_size=40).map(lambda raw: bytes(c for c in raw if c >= 32 and c != 127))
fields = st.lists(st.tuples(names, spaces, values, spaces), max_size=6)
cuts = st.lists(st.floats(0, 1), max_size=12)


@st.composite
def requests(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    """A sound request in one of the many forms that it may take."""
    body = draw(bodies)
    lines = [b"%b:%b%b%b" % field for field in draw(fields)]
    if draw(st.booleans()):
        lines.append(draw(st.sampled_from([b"Content-Length", b"content-length"])) + b": %d" % len(body))
        framed = body
    else:
        lines.append(b"Transfer-Encoding: " + draw(st.sampled_from([b"chunked", b"Chunked"])))
        framed = b""
        while body:
            n = draw(st.integers(1, len(body)))
            extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
            framed += draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % n + extension + b"\r\n" + body[:n] + b"\r\n"
            body = body[n:]
        framed += b"0\r\n" + draw(st.sampled_from([b"", b"X-Trailer: y\r\n"])) + b"\r\n"
    lines.insert(draw(st.integers(0, len(lines))), b"Host: bid.example")
    path = draw(st.sampled_from([b"openx", b"", b"a-b_c", b"%41", b"x/y", b"x?test=1"]))
    return b"\r\n".join([b"POST /bid/" + path + b" HTTP/1.1", *lines, b"", framed])


@settings(max_examples=150, deadline=None)
@given(st.lists(requests(small | large), min_size=1, max_size=4), cuts)
def test_sound_requests_are_read_as_llhttp_reads_them_however_they_are_split(
    several: list[bytes], cuts: list[float]
) -> None:
    data = b"".join(several)
    talk = Conversation(echo)
    talk.feed_all(split(data, cuts))
    reference = Reference()
    reference.feed(data)
    assert reference.error is None
    asked = [(b"/bid/" + exchange, body) for exchange, body in talk.asked]
    assert asked == [(url.partition(b"?")[0], body) for url, body in reference.requests]
    assert [(answer.status, answer.body) for answer in talk.answers] == [(200, body) for _, body in asked]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Requests of which a few bytes were changed, dropped or doubled."""
    data = bytearray(b"".join(draw(st.lists(requests(small), min_size=1, max_size=3))))
    single = [bytes([c]) for c in b"\r\n \t:05a;,\x00\x80"]
    lines = [
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
    ]
    head = max(1, data.find(b"\r\n\r\n") + 12)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.one_of(st.integers(0, head), st.integers(0, len(data))))
        dropped = draw(st.integers(0, 2))
        data[at : at + dropped] = draw(st.sampled_from([b"", *single, *lines]))
    return bytes(data)


@settings(max_examples=400, deadline=None)
@given(damaged())
@example(b"POST /bid/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
def test_what_the_listener_accepts_llhttp_reads_alike(data: bytes) -> None:
    elsewhere = Elsewhere()
    talk = Conversation(echo, route=elsewhere)
    reference = Reference()
    talk.feed(data)
    reference.feed(data)
    read = [(b"/bid/" + exchange, body) for exchange, body in talk.asked] + elsewhere.requests
    known = [(url.partition(b"?")[0] if url.startswith(b"/bid/") else url, body) for url, body in reference.requests]
    if isinstance(reference.error, httptools.HttpParserInvalidMethodError):
        read = read[: len(known)]  # it knows a list of methods and reads nothing behind another one
    assert read == known[: len(read)], reference.error


@settings(max_examples=200, deadline=None)
@given(damaged(), cuts)
def test_damaged_requests_get_the_same_answers_however_they_are_split(data: bytes, cuts: list[float]) -> None:
    at_once, in_pieces = (Conversation(echo, route=Elsewhere()) for _ in range(2))
    at_once.feed(data)
    in_pieces.feed_all(split(data, cuts))
    assert in_pieces.written == at_once.written
    assert in_pieces.asked == at_once.asked
    assert in_pieces.wire.half_closed == at_once.wire.half_closed


def test_random_bytes_never_harm_a_healthy_connection() -> None:
    rng = random.Random(20_260_101)
    connections = Connections(PythonHandler(echo), Elsewhere(), max_body_bytes=5_000)
    healthy = Conversation(echo, connections=connections)
    seeds = [
        post(b"hello"),
        post(b"{}", "Expect: 100-continue", "x-openrtb-version: 2.6", "Content-Encoding: gzip"),
        b"POST /bid/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ]
    for _ in range(10_000):
        data = bytearray(rng.choice(seeds) * rng.randrange(1, 4))
        for _ in range(rng.randrange(6)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(4))
        talk = Conversation(echo, connections=connections)
        at = 0
        while at < len(data):
            step = rng.choice([1, 7, 100, len(data)])
            talk.feed(bytes(data[at : at + step]))
            at += step
        talk.protocol.connection_lost(None)
    healthy.feed(post(b"still here"))
    assert healthy.answers[0].body == b"still here"
    assert connections.count == 1
