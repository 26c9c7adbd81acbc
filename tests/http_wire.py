"""The listener's protocol without a network: a transport in memory, and the answers taken apart."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httptools

from bidder._fast.handler import PythonHandler
from bidder._fast.http import BidProtocol, Connections

Answerer = Callable[[bytes, bytes], tuple[int, bytes]]


class Wire(asyncio.Transport):
    """What the protocol does to its transport, written down."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 40_000)})
        self.writes: list[bytes] = []
        self.closed = self.half_closed = self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.half_closed
        self.writes.append(bytes(data))

    def write_eof(self) -> None:
        self.half_closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0


@dataclass
class Answer:
    """One answer as an independent reader understands it."""

    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Reader:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.whole = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.answers.append(Answer())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answers[-1].fields[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.answers[-1].status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.answers[-1].body += body

    def on_message_complete(self) -> None:
        self.whole += 1


def answers_in(data: bytes) -> list[Answer]:
    """Every answer in `data`, which must end with a whole one."""
    reader = _Reader()
    reader.parser.feed_data(data)
    assert reader.whole == len(reader.answers)
    return reader.answers


def no_route(*arguments: Any) -> Any:
    raise AssertionError(f"handed on: {arguments}")


class Conversation:
    """One connection: feed it bytes, look at what it wrote."""

    def __init__(
        self,
        answer: Answerer,
        *,
        connections: Connections | None = None,
        route: Callable[..., Any] = no_route,
        **options: Any,
    ) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self.wire = Wire()

        def noted(exchange: bytes, body: bytes) -> tuple[int, bytes]:
            self.asked.append((exchange, body))
            return answer(exchange, body)

        self.connections = connections or Connections(PythonHandler(noted), route, **options)
        self.protocol: BidProtocol = self.connections.protocol()
        self.protocol.connection_made(self.wire)

    def feed(self, data: bytes) -> None:
        """As one or more reads, as large as the protocol lets them be."""
        while data and self.wire.reading and not self.wire.is_closing():
            view = memoryview(self.protocol.get_buffer(-1))
            n = min(len(view), len(data))
            view[:n] = data[:n]
            view.release()
            self.protocol.buffer_updated(n)
            data = data[n:]

    def feed_all(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.feed(piece)

    @property
    def written(self) -> bytes:
        return b"".join(self.wire.writes)

    @property
    def answers(self) -> list[Answer]:
        return answers_in(self.written)

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def post(body: bytes = b"{}", *fields: str, path: str = "/bid/openx", version: str = "1.1") -> bytes:
    """A bid request; `fields` are whole lines."""
    lines = [f"POST {path} HTTP/{version}", "Host: bid.example", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*chunks: bytes, ending: bytes = b"0\r\n\r\n") -> bytes:
    head = b"POST /bid/openx HTTP/1.1\r\nHost: bid.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + ending
