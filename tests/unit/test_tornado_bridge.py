"""Tornado behind the listener: real sockets, a real application, bids before and behind it."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler, stream_request_body

from bidder._fast.handler import PythonHandler
from bidder.listener import BidServer, Listener
from tests.http_wire import Answer, answers_in, post


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: bid.example", *fields, "", ""]).encode() + body


class Health(RequestHandler):
    def get(self) -> None:
        self.write("ok")

    head = get


class Mirror(RequestHandler):
    def post(self) -> None:
        request = self.request
        self.write(
            {"body": request.body.decode(), "ip": request.remote_ip, "x": self.get_arguments("x"), "uri": request.uri}
        )


class Pieces(RequestHandler):
    async def get(self) -> None:
        for piece in ("one ", "two ", "three"):
            self.write(piece)
            await self.flush()


class Large(RequestHandler):
    pieces = 64
    waited = 0

    async def get(self) -> None:
        for _ in range(self.pieces):
            self.write(b"x" * 100_000)
            written = self.flush()
            Large.waited += not written.done()
            await written


class Slow(RequestHandler):
    begun: asyncio.Event
    go_on: asyncio.Event
    left: asyncio.Event

    async def get(self) -> None:
        Slow.begun.set()
        await Slow.go_on.wait()
        self.write("late")

    def on_connection_close(self) -> None:
        Slow.left.set()


class NoContent(RequestHandler):
    def get(self) -> None:
        self.set_status(204)


class Broken(RequestHandler):
    def get(self) -> None:
        raise ZeroDivisionError


class Liar(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Length", self.get_argument("length"))
        self.write("12345")


@stream_request_body
class Streamed(RequestHandler):
    async def prepare(self) -> None:
        self.received = 0

    async def data_received(self, chunk: bytes) -> None:
        self.received += len(chunk)

    def put(self) -> None:
        self.write(str(self.received))


APPLICATION = Application(
    [
        ("/healthz", Health),
        ("/mirror", Mirror),
        ("/pieces", Pieces),
        ("/large", Large),
        ("/slow", Slow),
        ("/nothing", NoContent),
        ("/broken", Broken),
        ("/liar", Liar),
        ("/streamed", Streamed),
    ]
)


class Client:
    """One connection to the listener."""

    def __init__(self, server: BidServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes, answers: int = 1) -> list[Answer]:
        """Send, and read until so many whole answers are there; any byte more fails."""
        self.writer.write(data)
        received = b""
        while True:
            received += await asyncio.wait_for(self.reader.read(1 << 20), 5)
            with contextlib.suppress(AssertionError):
                found = answers_in(received)
                if len(found) >= answers:
                    assert len(found) == answers
                    return found

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 5)


@contextlib.asynccontextmanager
async def connected(application: HTTPServerConnectionDelegate = APPLICATION) -> AsyncIterator[Client]:
    Slow.begun, Slow.go_on, Slow.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
    server = BidServer(PythonHandler(lambda exchange, body: (200, body)), application)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        listener = Listener(asyncio.get_running_loop(), sock, server)
        listener.resume()
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        try:
            yield Client(server, reader, writer)
        finally:
            writer.close()
            listener.close()
            await server.drain(give_up_s=1)
            assert server.connections == 0


def on_uvloop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        uvloop.run(asyncio.wait_for(test(), 20))

    run.__name__ = test.__name__
    return run


@on_uvloop
async def test_tornado_answers_between_bids_in_order_on_one_connection() -> None:
    async with connected() as client:
        answers = await client.ask(post(b"1") + get("/healthz") + post(b"2") + get("/pieces") + post(b"3"), 5)
        assert [answer.body for answer in answers] == [b"1", b"ok", b"2", b"one two three", b"3"]
        assert [answer.body for answer in await client.ask(get("/healthz"))] == [b"ok"]


def test_plain_asyncio_serves_as_well() -> None:
    async def test() -> None:
        async with connected() as client:
            answers = await client.ask(post(b"1") + get("/healthz") + post(b"x" * 100_000), 3)
            assert [answer.body for answer in answers] == [b"1", b"ok", b"x" * 100_000]

    asyncio.run(test())


@on_uvloop
async def test_head_has_the_length_and_no_body() -> None:
    async with connected() as client:
        client.writer.write(get("/healthz", method="HEAD") + get("/healthz", "Connection: close"))
        head, _, behind = (await client.rest()).partition(b"\r\n\r\n")
        assert b"Content-Length: 2" in head
        assert behind.startswith(b"HTTP/1.1 200 OK\r\n")


@on_uvloop
async def test_answer_of_unknown_length_is_chunked_for_http_1_1_and_ends_the_connection_for_1_0() -> None:
    async with connected() as client:
        (answer,) = await client.ask(get("/pieces"))
        assert answer.fields["transfer-encoding"] == "chunked"
        client.writer.write(get("/pieces", "Connection: keep-alive", version="1.0"))
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert body == b"one two three"
        assert b"Connection: close" in head
        assert b"chunked" not in head


@on_uvloop
async def test_http_1_0_stays_when_asked_and_the_length_is_known() -> None:
    async with connected() as client:
        (answer,) = await client.ask(get("/healthz", "Connection: keep-alive", version="1.0"))
        assert answer.fields["connection"] == "keep-alive"
        client.writer.write(get("/healthz", version="1.0"))
        assert b"Connection: close" in await client.rest()


@on_uvloop
async def test_close_is_honoured() -> None:
    async with connected() as client:
        client.writer.write(get("/healthz", "Connection: close"))
        (answer,) = answers_in(await client.rest())
        assert answer.fields["connection"] == "close"


@on_uvloop
async def test_handler_sees_body_arguments_and_address() -> None:
    form = "Content-Type: application/x-www-form-urlencoded"
    async with connected() as client:
        chunked = get("/mirror?x=1", form, "Transfer-Encoding: chunked", method="POST", body=b"3\r\nx=2\r\n0\r\n\r\n")
        (answer,) = await client.ask(chunked)
        assert answer.body == b'{"body": "x=2", "ip": "127.0.0.1", "x": ["1", "2"], "uri": "/mirror?x=1"}'


@on_uvloop
async def test_streaming_handler_gets_the_body() -> None:
    async with connected() as client:
        (answer,) = await client.ask(get("/streamed", "Content-Length: 200000", method="PUT", body=b"x" * 200_000))
        assert answer.body == b"200000"


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/broken", 500), ("/nothing", 204)])
def test_status_of_the_application_keeps_the_connection(
    path: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with connected() as client:
            answers = await client.ask(get(path) + post(b"next"), 2)
            assert [answer.status for answer in answers] == [status, 200]

    with caplog.at_level(logging.CRITICAL, "tornado"):
        uvloop.run(test())


@on_uvloop
async def test_what_tornado_refuses_gets_400_and_ends_the_connection() -> None:
    async with connected() as client:
        client.writer.write(get("/healthz").replace(b"bid.example", b"%zz"))
        (answer,) = answers_in(await client.rest())
        assert (answer.status, answer.fields["connection"]) == (400, "close")


@on_uvloop
async def test_handler_is_told_when_the_client_leaves() -> None:
    async with connected() as client:
        client.writer.write(get("/slow"))
        await asyncio.wait_for(Slow.begun.wait(), 5)
        client.writer.close()
        await asyncio.wait_for(Slow.left.wait(), 5)
        Slow.go_on.set()


@on_uvloop
async def test_slow_reader_slows_the_handler_down() -> None:
    async with connected() as client:
        Large.waited = 0
        (answer,) = await client.ask(get("/large"))
        assert answer.body == b"x" * 100_000 * Large.pieces
        assert Large.waited > 0


@pytest.mark.parametrize("length", [4, 6])
def test_answer_that_breaks_its_own_framing_is_never_whole(length: int, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with connected() as client:
            client.writer.write(get(f"/liar?length={length}"))
            received = b""
            with contextlib.suppress(ConnectionResetError):
                received = await client.rest()
            assert len(received.partition(b"\r\n\r\n")[2]) < length

    with caplog.at_level(logging.CRITICAL, "tornado"):
        uvloop.run(test())


@on_uvloop
async def test_draining_waits_for_tornado_and_says_close() -> None:
    async with connected() as client:
        client.writer.write(get("/slow"))
        await asyncio.wait_for(Slow.begun.wait(), 5)
        draining = asyncio.ensure_future(client.server.drain(give_up_s=5))
        Slow.go_on.set()
        (answer,) = answers_in(await client.rest())
        assert (answer.body, answer.fields["connection"]) == (b"late", "close")
        assert await draining == 0


@on_uvloop
async def test_draining_gives_up_on_a_handler_that_never_ends() -> None:
    async with connected() as client:
        client.writer.write(get("/slow"))
        await asyncio.wait_for(Slow.begun.wait(), 5)
        assert await client.server.drain(idle_grace_s=0, give_up_s=0.01) == 1
        await asyncio.wait_for(Slow.left.wait(), 5)
        Slow.go_on.set()


class Delegates(HTTPServerConnectionDelegate, HTTPMessageDelegate):
    """An application made of one function."""

    def __init__(self, serve: Callable[[Any], Awaitable[None] | None]) -> None:
        self.serve = serve
        self.connection: Any = None
        self.closed = 0

    def start_request(self, server_conn: object, request_conn: Any) -> "Delegates":
        self.connection = request_conn
        return self

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        return self.serve(self.connection)

    def on_connection_close(self) -> None:
        self.closed += 1


@on_uvloop
async def test_delegate_that_fails_is_answered_500_and_told_of_the_end() -> None:
    def fail(connection: Any) -> None:
        raise ZeroDivisionError

    application = Delegates(fail)
    logging.getLogger("bidder.http").disabled = True
    try:
        async with connected(application) as client:
            client.writer.write(get("/"))
            assert [answer.status for answer in answers_in(await client.rest())] == [500]
    finally:
        logging.getLogger("bidder.http").disabled = False
    assert application.closed == 1


@on_uvloop
async def test_information_comes_before_the_answer() -> None:
    async def serve(connection: Any) -> None:
        connection.write_headers(ResponseStartLine("", 103, "Early Hints"), HTTPHeaders({"Link": "</a>"}))
        connection.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders({"Content-Length": "2"}), b"o")
        await connection.write(b"k")
        connection.finish()

    async with connected(Delegates(serve)) as client:
        client.writer.write(get("/"))
        hints = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
        assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\nok"), 5)


@on_uvloop
async def test_writing_after_the_client_left_fails_as_tornado_expects() -> None:
    failed: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def serve(connection: Any) -> None:
        Slow.begun.set()
        await Slow.go_on.wait()
        failed.set_result(connection.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders()).exception())
        connection.finish()

    application = Delegates(serve)
    async with connected(application) as client:
        client.writer.write(get("/"))
        await asyncio.wait_for(Slow.begun.wait(), 5)
        client.writer.close()
        await client.server.drain(give_up_s=5)
        Slow.go_on.set()
        assert isinstance(await failed, StreamClosedError)
        assert application.closed == 1
