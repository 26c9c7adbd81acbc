"""The door for notices: paths and answers as in docs/tracking.md. It translates; the desk decides.

HTTPServer -> Door: /{kind}/{token}?... -> Desk.receive -> answer; every other path -> the tracker's Tornado Application
204 taken | 200 one transparent pixel, for what a page or player tells, or the tag | 302 to the landing page
400 forged | 404 no book has the creative | 405 | 503 try again
A delegate of Tornado's HTTP server, without its RequestHandler, which cost more than all the rest of a notice. GET and
POST are the same: all that counts is in the URL, or in a form that is posted. Nothing of a request is logged: its URL
is a token, its peer a person.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError
from tornado.web import Application

from bidder.events.schema import NoticeKind
from bidder.money.tokens import Token
from bidder.tracking.desk import NOTICE_KINDS, Verdict
from bidder.tracking.handlers import PIXEL, Shared
from bidder.tracking.notice import Said
from bidder.tracking.tag import TAG

KINDS = {
    "win": NoticeKind.WIN,
    "bill": NoticeKind.BILL,
    "loss": NoticeKind.LOSS,
    "imp": NoticeKind.IMPRESSION,
    "tag": NoticeKind.IMPRESSION,  # the same, by a script that also says when the ad was in view
    "view": NoticeKind.VIEWABLE,
    "start": NoticeKind.START,
    "q1": NoticeKind.FIRST_QUARTILE,
    "mid": NoticeKind.MIDPOINT,
    "q3": NoticeKind.THIRD_QUARTILE,
    "complete": NoticeKind.COMPLETE,
    "click": NoticeKind.CLICK,
    "conversion": NoticeKind.CONVERSION,
    "error": None,  # of a player: counted, and no notice
}
METHODS = ("GET", "POST")
SEEN = frozenset(KINDS.values()) - NOTICE_KINDS - {NoticeKind.CLICK, NoticeKind.CONVERSION}
REFUSALS = {Verdict.FORGED: 400, Verdict.UNAVAILABLE: 503}
FORM = "application/x-www-form-urlencoded"
# What the book may say of a click's target; it has checked that once, and a header is worth a second look.
LANDING = re.compile(r"https?://[!-~]+", re.ASCII)
# In a landing URL, also where that is a parameter of another one; ids need no encoding wherever they stand.
CLICK_ID = re.compile(r"(?:\{|%7[Bb])click_id(?:\}|%7[Dd])", re.ASCII)
LINES = {
    code: ResponseStartLine("HTTP/1.1", code, HTTPStatus(code).phrase)
    for code in (200, 204, 302, 400, 404, 405, 500, 503)
}

Answer = tuple[int, dict[str, str], bytes]  # status, what it says beyond the usual, body


class Door(HTTPServerConnectionDelegate):
    """What an HTTPServer of the tracker asks; `rest` answers every path that is not a notice's."""

    def __init__(self, shared: Shared, rest: Application) -> None:
        self.shared = shared
        self.rest = rest
        self.answering: set[asyncio.Task[None]] = set()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Request(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Nothing is kept of a connection."""


class _Request(HTTPMessageDelegate):
    """One request: read by Tornado, told to the desk when it is there whole."""

    def __init__(self, door: Door, server_conn: object, connection: HTTPConnection) -> None:
        self._door = door
        self._server_conn = server_conn
        self._connection = connection
        self._other: HTTPMessageDelegate | None = None
        self._form: list[bytes] | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        path, _, self._query = start_line.path.partition("?")
        parts = path.split("/")
        if len(parts) != 3 or parts[1] not in KINDS:
            self._other = self._door.rest.start_request(self._server_conn, self._connection)
            return self._other.headers_received(start_line, headers)
        self._kind, self._token = KINDS[parts[1]], parts[2]
        self._scripted = parts[1] == "tag"
        self._method = start_line.method
        if self._method == "POST" and headers.get("Content-Type", "").partition(";")[0].strip().lower() == FORM:
            self._form = []
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._other is not None:
            return self._other.data_received(chunk)
        if self._form is not None:
            self._form.append(chunk)
        return None

    def finish(self) -> None:
        if self._other is not None:
            self._other.finish()
            return
        task = asyncio.ensure_future(self._answer())
        self._door.answering.add(task)
        task.add_done_callback(self._door.answering.discard)

    def on_connection_close(self) -> None:
        if self._other is not None:
            self._other.on_connection_close()

    async def _answer(self) -> None:
        desk = self._door.shared.desk
        desk.underway += 1
        try:
            try:
                status, fields, body = await self._decide()
            except Exception as error:  # whatever it is, the peer gets an answer and we hear of it
                self._door.shared.log.exception("notice failed", exc=error)
                status, fields, body = 500, {}, b""
            headers = HTTPHeaders(fields)
            headers["Cache-Control"] = "no-store"
            if status != 204:
                headers["Content-Length"] = str(len(body))
            if desk.draining:
                headers["Connection"] = "close"
            written = self._connection.write_headers(LINES[status], headers, body or None)
            self._connection.finish()
            with contextlib.suppress(StreamClosedError):  # the peer went away
                await written
        finally:
            desk.underway -= 1

    async def _decide(self) -> Answer:
        if self._method not in METHODS:
            return 405, {"Allow": ", ".join(METHODS)}, b""
        desk = self._door.shared.desk
        query = self._query
        if self._form is not None:
            query = f"{b''.join(self._form).decode('utf-8', 'replace')}&{query}"
        said = dict(parse_qsl(query, keep_blank_values=True, errors="replace")) if query else {}
        token = unquote(self._token) if "%" in self._token else self._token
        if self._kind is None:
            verdict = desk.player_error(token, said.get("code"))
            return (
                (200, {"Content-Type": "image/gif"}, PIXEL)
                if verdict is Verdict.TAKEN
                else (REFUSALS[verdict], {}, b"")
            )
        told = Said(said.get("price"), said.get("reason"), said.get("min"), said.get("value"))
        receipt = await desk.receive(self._kind, token, told)
        if receipt.token is None:
            return REFUSALS[receipt.verdict], {}, b""
        if self._scripted:
            return 200, {"Content-Type": "text/javascript; charset=utf-8"}, TAG
        if self._kind in SEEN:
            return 200, {"Content-Type": "image/gif"}, PIXEL
        return await self._redirect(receipt.token) if self._kind is NoticeKind.CLICK else (204, {}, b"")

    async def _redirect(self, token: Token) -> Answer:
        """Where the book says for the creative in the token, never where the URL says."""
        url = await self._door.shared.landing(token.creative)
        if url is None or not LANDING.fullmatch(url):
            return 404, {}, b""
        if CLICK_ID.search(url):
            url = CLICK_ID.sub(self._door.shared.desk.click_id(token), url)
        return 302, {"Location": url}, b""
