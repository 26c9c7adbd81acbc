"""Tornado behind the compiled listener: requests that are not bids, through Tornado's delegate interface.

listener -> a whole request -> start_request() -> headers_received, data_received, finish
         <- bytes           <- write_headers, write, finish of `TornadoAnswer`

A request reaches Tornado whole (at most `max_body_bytes`), in one piece. Answers keep the order of the requests:
the listener reads on when `finish` was called. Keep-alive, HEAD and chunked answers as RFC 9112 wants them.
There is no `detach()`: no websockets on the bid port.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from bidder._fast.http import BidProtocol

log = logging.getLogger("bidder.http")


@dataclass(frozen=True, slots=True)
class Context:
    """What Tornado's request asks of its connection."""

    remote_ip: str
    protocol: str = "http"


class TornadoAnswer(HTTPConnection):
    """One answer on one connection; the listener calls `connection_lost` and `resume_writing`."""

    def __init__(self, connection: BidProtocol, method: str, minor: int, keep_alive: bool) -> None:
        peer = connection.peer
        self.context = Context(peer[0] if isinstance(peer, tuple) else "0.0.0.0")
        self.delegate: HTTPMessageDelegate | None = None  # until it has the whole request
        self._connection = connection
        self._method = method
        self._minor = minor
        self._close = not keep_alive
        self._lost = False
        self._begun = False
        self._finished = False
        self._chunked = False
        self._left: int | None = None  # bytes that Content-Length still promises
        self._close_callback: Callable[[], object] | None = None
        self._waiting: asyncio.Future[None] | None = None

    # --- called by Tornado

    def set_close_callback(self, callback: Callable[[], object] | None) -> None:
        """`callback` runs if the client goes before the answer is finished."""
        self._close_callback = callback

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> asyncio.Future[None]:
        """Status line, fields, and the beginning of the body. HTTPOutputError: the headers break the framing."""
        assert isinstance(start_line, ResponseStartLine)
        code = start_line.code
        self._left = None
        self._chunked = False
        bodiless = self._method == "HEAD" or code in (204, 304) or code < 200
        length = headers.get("Content-Length")
        if bodiless:
            self._left = 0
        elif length is not None:
            self._left = int(length)
        elif self._minor == 1:
            self._chunked = True
            headers["Transfer-Encoding"] = "chunked"
        else:
            self._close = True
        if code >= 200:
            self._begun = True
            self._close = self._close or self._connection.closing or headers.get("Connection", "").lower() == "close"
            if self._close:
                headers["Connection"] = "close"
            elif self._minor == 0:
                headers["Connection"] = "keep-alive"
        lines = [f"HTTP/1.1 {code} {start_line.reason}", *(f"{name}: {value}" for name, value in headers.get_all())]
        if any("\r" in line or "\n" in line for line in lines):
            raise HTTPOutputError(f"a header field holds CR or LF: {lines!r}")
        return self._write("\r\n".join([*lines, "", ""]).encode("latin-1") + self._framed(chunk or b""))

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """More of the body; the future is done when the client can take more."""
        return self._write(self._framed(chunk))

    def finish(self) -> None:
        """The answer is complete; the listener goes on with the connection's next request."""
        if self._finished or self._lost:
            return
        if self._left:
            self._connection.abort()
            raise HTTPOutputError(f"the answer is {self._left} bytes shorter than its Content-Length")
        self._finished = True
        if self._chunked:
            self._connection.send(b"0\r\n\r\n")
        self._connection.finish(self._close)

    # --- called by the listener

    def connection_lost(self) -> None:
        """Tell whoever is answering, once: the delegate while it has not all of the request, else the callback."""
        self._lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(StreamClosedError())
            self._waiting.exception()  # seen, for those who do not await
        delegate, self.delegate = self.delegate, None
        callback, self._close_callback = self._close_callback, None
        if delegate is not None:
            delegate.on_connection_close()
        elif callback is not None:
            callback()

    def resume_writing(self) -> None:
        """The client has read what was written."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # --- inside

    def _framed(self, chunk: bytes) -> bytes:
        if self._left is not None:
            if self._method == "HEAD":
                return b""
            if len(chunk) > self._left:
                self._connection.abort()
                raise HTTPOutputError(f"the answer is {len(chunk) - self._left} bytes longer than its Content-Length")
            self._left -= len(chunk)
        elif self._chunked and chunk:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return chunk

    def _write(self, data: bytes) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._lost:
            future.set_exception(StreamClosedError())
            future.exception()
            return future
        self._connection.send(data)
        if self._connection.writable:
            future.set_result(None)
        elif self._waiting is not None and not self._waiting.done():
            return self._waiting
        else:
            self._waiting = future
        return future

    def refuse(self, status: str) -> None:
        """Answer `status` in the place of Tornado, if nothing was written yet, and end the connection."""
        if self._lost or self._finished:
            return
        delegate, self.delegate = self.delegate, None
        if delegate is not None:
            delegate.on_connection_close()
        if self._begun:
            self._connection.abort()
            return
        self._finished = True
        self._connection.send(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        self._connection.finish(True)


class TornadoRoute:
    """The listener's route: hands every request to one Tornado application (or any server delegate)."""

    def __init__(self, application: HTTPServerConnectionDelegate) -> None:
        self._application = application
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly

    def __call__(
        self,
        connection: BidProtocol,
        method: bytes,
        target: bytes,
        minor: int,
        fields: bytes,
        body: bytes,
        keep_alive: bool,
    ) -> TornadoAnswer:
        start_line = RequestStartLine(method.decode("ascii"), target.decode("ascii"), f"HTTP/1.{minor}")
        answer = TornadoAnswer(connection, start_line.method, minor, keep_alive)
        task = asyncio.get_running_loop().create_task(self._serve(connection, answer, start_line, fields, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return answer

    async def _serve(
        self, connection: BidProtocol, answer: TornadoAnswer, start_line: RequestStartLine, fields: bytes, body: bytes
    ) -> None:
        """Give the request to the delegate, at its own pace."""
        headers = HTTPHeaders()
        for line in fields.split(b"\r\n")[:-1]:
            name, _, value = line.partition(b":")
            headers.add(name.decode("ascii"), value.strip(b" \t").decode("latin-1"))
        try:
            answer.delegate = delegate = self._application.start_request(connection, answer)
            waiting = delegate.headers_received(start_line, headers)
            if waiting is not None:
                await waiting
            if body and answer.delegate is not None:
                waiting = delegate.data_received(body)
                if waiting is not None:
                    await waiting
            if answer.delegate is not None:  # the client is still there
                answer.delegate = None
                delegate.finish()
        except HTTPInputError as error:
            log.info("refused by Tornado: %s", error)
            answer.refuse("400 Bad Request")
        except Exception:
            log.exception("%s %s failed before its handler could answer", start_line.method, start_line.path)
            answer.refuse("500 Internal Server Error")
