"""Doors for browsers: a visit that sets a segment, and the match of our id with an exchange's.

    GET /visit/{owner}/{segment}?sig=&gdpr=&gdpr_consent=&us_privacy=&gpp=&gpp_sid=    -> a pixel | 400
    GET /match/{exchange}?uid=&hop=&...the same...  -> a pixel | 302 to the exchange's match_url | 204 | 404
Consent first: without it nothing is read, set or stored, and the answer says nothing of it. The cookie is a random id
that means nothing elsewhere. /match redirects only where the browser brought our cookie, the request names no uid, and
neither the URL nor a cookie says that it has been sent on already; and only to the address in the exchange's settings.
So there is no loop, with or without cookies, and no open redirect.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from tornado.web import RequestHandler

from bidder.settings import Exchange
from bidder.tracking.handlers import PIXEL, Handler, Shared
from bidder.users.consent import PARAMETERS, ConsentGate
from bidder.users.people import People
from bidder.users.pixels import OWNER, SEGMENT, signed

COOKIE, HOP_COOKIE = "ob", "obh"
OWN_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
HOP_S = 60  # in which a browser is not sent on twice
MOST_UID = 256
VISIT = ("identify", "personalise", "sync")
MATCH = ("identify", "sync")


class Doors(NamedTuple):
    """What these handlers work with. `secure`: browsers come by https. `secret`: of pixels."""

    people: People
    gate: ConsentGate
    exchanges: Mapping[str, Exchange]
    secret: bytes
    cookie_s: int
    secure: bool
    tell: Callable[[str], None]


class Browser(Handler):
    """A browser that may have our cookie."""

    def initialize(self, shared: Shared, doors: Doors | None = None) -> None:
        super().initialize(shared)
        assert doors is not None
        self.doors = doors

    def argument(self, name: str) -> str | None:
        values = self.request.query_arguments.get(name)
        return None if not values else values[-1].decode("utf-8", "replace")

    def agreed(self, wanted: tuple[str, ...]) -> bool:
        """Does the law let us do all of that?"""
        gpc = self.request.headers.get("Sec-GPC", "").strip() == "1"
        return self.doors.gate.allows(wanted, self.argument, gpc)

    def own_id(self) -> tuple[str, bool]:
        """Of the cookie, or a new one; was it there?"""
        there = self.get_cookie(COOKIE) or ""
        found = OWN_ID.fullmatch(there) is not None
        own = there if found else secrets.token_urlsafe(16)
        self.keep(COOKIE, own, self.doors.cookie_s)
        return own, found

    def keep(self, name: str, value: str, seconds: int) -> None:
        """A cookie that scripts cannot read, sent from other sites' pages where that is possible."""
        secure = {"secure": True, "samesite": "None"} if self.doors.secure else {"samesite": "Lax"}
        self.set_cookie(name, value, expires_days=None, max_age=seconds, path="/", httponly=True, **secure)

    def pixel(self) -> None:
        self.set_header("Content-Type", "image/gif")
        self.finish(PIXEL)


class VisitHandler(Browser):
    """A page of an advertiser was seen."""

    def get(self, owner: str, segment: str) -> None:
        genuine = OWNER.fullmatch(owner) and SEGMENT.fullmatch(segment)
        if not genuine or not signed(self.doors.secret, owner, segment, self.argument("sig") or ""):
            self.doors.tell("visit_refused")
            self.set_status(400)
            self.finish()
            return
        if self.agreed(VISIT):
            own, _ = self.own_id()
            self.doors.people.visited(own, segment)
        else:
            self.doors.tell("visit_without_consent")
        self.pixel()


class MatchHandler(Browser):
    """An exchange sent a browser that it knows, or wants to know by our id."""

    def get(self, name: str) -> None:
        exchange = self.doors.exchanges.get(name)
        if exchange is None or not exchange.enabled:
            self.set_status(404)
            self.finish()
            return
        uid = self.argument("uid")
        if uid is not None and not usable(uid):
            self._nothing("match_refused")
        elif not self.agreed(MATCH):
            self._nothing("match_without_consent")
        else:
            self._matched(exchange, uid)

    def _nothing(self, why: str) -> None:
        self.doors.tell(why)
        self.set_status(204)
        self.finish()

    def _matched(self, exchange: Exchange, uid: str | None) -> None:
        own, known = self.own_id()
        if uid is not None:
            self.doors.people.matched(own, exchange.key, uid)
        sent_on = self.argument("hop") is not None or self.get_cookie(HOP_COOKIE) is not None
        if uid is not None or sent_on or not known or not exchange.match_url:
            self.pixel()
            return
        self.doors.tell("match_redirected")
        self.keep(HOP_COOKIE, "1", HOP_S)
        self.set_status(302)
        self.set_header("Location", self._onward(exchange.match_url, own))
        self.finish()

    def _onward(self, url: str, own: str) -> str:
        for name in PARAMETERS:
            url = url.replace(f"{{{name}}}", quote(self.argument(name) or "", safe=""))
        return url.replace("{uid}", own)


def usable(uid: str) -> bool:
    """Could an exchange know somebody by this? Not by a macro that it forgot to fill."""
    return 0 < len(uid) <= MOST_UID and uid.isprintable() and not any(c in uid for c in "${}[]<>\"' ") and uid != "0"


def routes(shared: Shared, doors: Doors) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """For the tracker's application."""
    arguments = {"shared": shared, "doors": doors}
    return [
        (r"/visit/([^/]*)/([^/]*)", VisitHandler, arguments),
        (r"/match/([^/]*)", MatchHandler, arguments),
    ]
