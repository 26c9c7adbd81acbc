"""Independent readers that a share of all fuzz inputs is compared with."""

import math
from typing import Any

import httptools

from bidder._fast.request import Reader
from bidder.settings import Consent
from tests.reference import request as reference

US = Consent(vendor_id=30)  # who the readers are: else no TC string would be read


def reader(body: bytes, code: int, compiled: Reader) -> None:
    """json.loads and the rules of tests/reference say the same of this body, and so does a reader without a past."""
    wanted, view = reference.read(body, US)
    if code != wanted:
        raise AssertionError(f"code {code}, the reference says {wanted}")
    if view is None:
        return
    seen = compiled.view()
    fresh = Reader(US)
    if fresh.parse(body) != code or fresh.view() != seen:
        raise AssertionError("an earlier request shows in this one")
    for owner in (seen, *seen["imps"]):
        owner.pop("id_raw")
    for angle in ("lat", "lon"):
        if not math.isclose(seen.pop(angle), view.pop(angle), rel_tol=1e-15, abs_tol=1e-60):
            raise AssertionError(f"{angle} differs")
    if seen != view:
        raise AssertionError({key: (seen[key], view[key]) for key in view if seen[key] != view[key]})


class _Requests:
    """Whole requests as llhttp reads them."""

    def __init__(self) -> None:
        self.read: list[tuple[bytes, bytes]] = []
        self._url = self._body = b""
        self._parser: Any = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"POST" or not _path(self._url).startswith(b"/bid/"):
            self.read.append((_path(self._url), self._body))

    def feed(self, data: bytes) -> Exception | None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return error
        return None


def _path(url: bytes) -> bytes:
    """As the listener hands it on: without the origin; of a bid, without the query."""
    scheme, found, rest = url.partition(b"://")
    if found and scheme.lower() in (b"http", b"https"):
        slash = rest.find(b"/")
        url = b"/" if slash < 0 else rest[slash:]
    return url.partition(b"?")[0] if url.startswith(b"/bid/") else url


def listener(data: bytes, requests: list[tuple[bytes, bytes]]) -> None:
    """What the listener took for requests, llhttp takes for the same; the listener may stop earlier, never later."""
    lower = data.lower()
    if b"content-encoding" in lower or b"expect" in lower:
        return  # unpacked, or refused by itself: llhttp does neither
    independent = _Requests()
    error = independent.feed(data)
    known = independent.read
    mine = requests
    if isinstance(error, httptools.HttpParserInvalidMethodError | httptools.HttpParserUpgrade):
        mine = mine[: len(known)]  # it knows a list of methods, and no protocol behind an upgrade
    if mine != known[: len(mine)]:
        raise AssertionError(f"the listener read {requests}, llhttp {known}, then {error!r}")
