"""What the tracker answers beside notices: Tornado's handlers, for doors that are opened seldom. Notices: door.py.

Nothing of a request is logged: its URL may be a token, its peer a person.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from bidder.ops.log import Log
from bidder.tracking.desk import Desk

# GIF89a, one transparent pixel, 43 bytes.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


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

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        self.finish()

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Tornado's own would log the URL; refused requests and peers that went away are no news."""
        if isinstance(value, Exception) and not isinstance(value, HTTPError | StreamClosedError):
            self.shared.log.exception("handler failed", exc=value, handler=type(self).__name__)


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
    """Every path but those of notices."""
    arguments = {"shared": shared}
    return Application(
        [
            (r"/healthz", HealthHandler, arguments),
            (r"/readyz", ReadyHandler, arguments),
            (r"/stats", StatisticsHandler, arguments),
            *doors,
        ],
        default_handler_class=UnknownHandler,
        default_handler_args=arguments,
        log_function=lambda handler: None,
    )
