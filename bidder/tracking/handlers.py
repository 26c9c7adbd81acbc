"""The tracker over HTTP: paths and answers as in docs/tracking.md. Handlers translate; the desk decides.

204 taken | 200 one transparent pixel, for what a page or player tells | 302 to the landing page | 400 forged
404 no such path, or no book has the creative | 405 | 503 try again
Nothing of a request is logged: its URL is a token, its peer a person.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from bidder.events.schema import NoticeKind
from bidder.money.tokens import Token
from bidder.ops.log import Log
from bidder.tracking.desk import NOTICE_KINDS, Desk, Verdict
from bidder.tracking.notice import Said

KINDS = {
    "win": NoticeKind.WIN,
    "bill": NoticeKind.BILL,
    "loss": NoticeKind.LOSS,
    "imp": NoticeKind.IMPRESSION,
    "view": NoticeKind.VIEWABLE,
    "start": NoticeKind.START,
    "q1": NoticeKind.FIRST_QUARTILE,
    "mid": NoticeKind.MIDPOINT,
    "q3": NoticeKind.THIRD_QUARTILE,
    "complete": NoticeKind.COMPLETE,
    "click": NoticeKind.CLICK,
    "conversion": NoticeKind.CONVERSION,
}
SEEN = frozenset(KINDS.values()) - NOTICE_KINDS - {NoticeKind.CLICK, NoticeKind.CONVERSION}
REFUSALS = {Verdict.FORGED: 400, Verdict.UNAVAILABLE: 503}
# GIF89a, one transparent pixel, 43 bytes.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
# What the book may say of a click's target; it has checked that once, and a header is worth a second look.
LANDING = re.compile(r"https?://[!-~]+", re.ASCII)
# In a landing URL, also where that is a parameter of another one; ids need no encoding wherever they stand.
CLICK_ID = re.compile(r"(?:\{|%7[Bb])click_id(?:\}|%7[Dd])", re.ASCII)


class Shared(NamedTuple):
    """What all handlers of a process work with. `landing`: creative key to URL, None if no book has it."""

    desk: Desk
    landing: Callable[[int], Awaitable[str | None]]
    log: Log
    statistics: Callable[[], dict[str, object]] = dict  # of what else there is to count


class Handler(RequestHandler):
    """Answers without a body unless one is set, and without a word about the server."""

    SUPPORTED_METHODS: tuple[str, ...] = ("GET",)

    def initialize(self, shared: Shared) -> None:
        self.shared = shared

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.clear_header("Content-Type")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        if self.shared.desk.draining:
            self.set_header("Connection", "close")

    def compute_etag(self) -> None:
        """None: a pixel from a cache would be an impression that is not counted."""

    def send_pixel(self) -> None:
        self.set_header("Content-Type", "image/gif")
        self.write(PIXEL)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        self.finish()

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Tornado's own would log the URL; refused requests and peers that went away are no news."""
        if isinstance(value, Exception) and not isinstance(value, HTTPError | StreamClosedError):
            self.shared.log.exception("handler failed", exc=value, handler=type(self).__name__)


class NoticeHandler(Handler):
    """One notice, pixel or click. GET and POST are the same: all that counts is in the URL."""

    SUPPORTED_METHODS = ("GET", "POST")

    async def get(self, path: str, token: str) -> None:
        desk = self.shared.desk
        kind = KINDS[path]
        desk.underway += 1
        try:
            receipt = await desk.receive(kind, token, self._said())
            if receipt.token is None:
                self.set_status(REFUSALS[receipt.verdict])
            elif kind in SEEN:
                self.send_pixel()
            elif kind is NoticeKind.CLICK:
                await self._redirect(receipt.token)
            else:
                self.set_status(204)
            await self.finish()
        finally:
            desk.underway -= 1

    post = get

    async def _redirect(self, token: Token) -> None:
        """Where the book says for the creative in the token, never where the URL says."""
        url = await self.shared.landing(token.creative)
        if url is None or not LANDING.fullmatch(url):
            self.set_status(404)
            return
        if CLICK_ID.search(url):
            url = CLICK_ID.sub(self.shared.desk.click_id(token), url)
        self.set_status(302)
        self.set_header("Location", url)

    def _said(self) -> Said:
        """Of a form that is posted as well, for advertisers whose systems post conversions so."""
        return Said(*(self._argument(name) for name in ("price", "reason", "min", "value")))

    def _argument(self, name: str) -> str | None:
        values = self.request.query_arguments.get(name) or self.request.body_arguments.get(name)
        return None if not values else values[-1].decode("utf-8", "replace")


class ErrorHandler(Handler):
    """What a player says of an ad that it could not play."""

    def get(self, token: str) -> None:
        verdict = self.shared.desk.player_error(token, self.get_query_argument("code", None))
        if verdict is Verdict.TAKEN:
            self.send_pixel()
        else:
            self.set_status(REFUSALS[verdict])
        self.finish()


class HealthHandler(Handler):
    """Alive."""

    def get(self) -> None:
        self.finish()


class ReadyHandler(Handler):
    """Can notices be taken now?"""

    def get(self) -> None:
        self.set_status(200 if self.shared.desk.ready else 503)
        self.finish()


class StatisticsHandler(Handler):
    """Counts, for this host only."""

    def get(self) -> None:
        if ipaddress.ip_address(self.request.remote_ip or "0.0.0.0").is_loopback:
            self.set_header("Content-Type", "application/json")
            self.write(self.shared.desk.statistics() | self.shared.statistics())
        else:
            self.set_status(404)
        self.finish()


class UnknownHandler(Handler):
    """Every other path."""

    SUPPORTED_METHODS = RequestHandler.SUPPORTED_METHODS

    def prepare(self) -> None:
        super().prepare()
        self.set_status(404)
        self.finish()


def application(shared: Shared, doors: Sequence[Any] = ()) -> Application:
    """Every path of the tracker."""
    arguments = {"shared": shared}
    return Application(
        [
            (rf"/({'|'.join(KINDS)})/([^/]*)", NoticeHandler, arguments),
            (r"/error/([^/]*)", ErrorHandler, arguments),
            (r"/healthz", HealthHandler, arguments),
            (r"/readyz", ReadyHandler, arguments),
            (r"/stats", StatisticsHandler, arguments),
            *doors,
        ],
        default_handler_class=UnknownHandler,
        default_handler_args=arguments,
        log_function=lambda handler: None,
    )
