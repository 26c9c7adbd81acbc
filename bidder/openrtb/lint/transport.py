"""The door: everything that an exchange could object to in an answer to a bid request; T1 to T6 and X1 themselves.

    lint(request, response, status=200, headers={...}, profile=Profile(...)) -> [Violation, ...]

transport (here) -> response.py -> bid.py -> price, blocks, urls, regulation, and banner, media or native
Requests are read with the type deviations that real ones have, answers to the letter. Written from the standard and the
rules of open validators, apart from the code that bids, so that the two can disagree. Pure; no JSON on either
side makes it raise. Not for the hot path: some 0.1 ms a bid.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from bidder.openrtb.lint import strict
from bidder.openrtb.lint.case import Rates
from bidder.openrtb.lint.loose import Json, number, table, tables, text
from bidder.openrtb.lint.profile import GENERIC, Profile
from bidder.openrtb.lint.response import violations as of_response
from bidder.openrtb.lint.rules import Violation, broken, said

MOST = 1_000  # violations that are told
NO_RATES: Rates = {}


def lint(
    request: Mapping[str, Any] | bytes,
    response: bytes | None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    profile: Profile = GENERIC,
    rates: Mapping[str, Decimal] = NO_RATES,
    latency_ms: float | None = None,
) -> list[Violation]:
    """At most MOST violations, in the order of the answer.

    `request` as it was sent, or as a JSON reader gave it. `headers` None: nobody kept them. `rates`: currency -> what
    one USD is worth in it, for floors in another currency than the bid's. `latency_ms`: as the exchange measured it.
    """
    asked = strict.request(request) if isinstance(request, bytes) else request
    return list(islice(_violations(asked, response or b"", status, headers, profile, rates, latency_ms), MOST))


def _violations(
    asked: Json | None,
    body: bytes,
    status: int,
    headers: Mapping[str, str] | None,
    profile: Profile,
    rates: Rates,
    latency_ms: float | None,
) -> Iterator[Violation]:
    if latency_ms is not None:
        yield from _latency(table(asked), profile, latency_ms)
    if profile.max_response_bytes is not None and len(body) > profile.max_response_bytes:
        yield broken("response_bytes", "", f"{len(body)} bytes where {profile.max_response_bytes} are taken")
    if status == 204:
        if body:
            yield broken("body_on_204", "", f"{len(body)} bytes")
    elif status == 400:
        if asked is not None and is_well_formed(asked):
            yield broken("refused", "", "400 for a well-formed request")
        if body:
            yield broken("body_on_400", "", f"{len(body)} bytes")
    elif status != 200:
        yield broken("status", "", said(status))
    else:
        if headers is not None:
            yield from _headers({name.lower(): value for name, value in headers.items()})
        try:
            response = strict.answer(body)
        except ValueError as error:
            yield broken("json", "", str(error)[:80])
            return
        if asked is not None:
            yield from of_response(asked, response, profile, rates)
        elif response.get("seatbid"):
            yield broken("answered_malformed", "seatbid", "bids on what is no request")


def is_well_formed(request: Json) -> bool:
    """Does it have what nobody may refuse: an id, and imps with ids?"""
    imps = tables(request.get("imp"))
    return text(request.get("id")) is not None and bool(imps) and all(text(imp.get("id")) for imp in imps)


def _latency(request: Json, profile: Profile, latency_ms: float) -> Iterator[Violation]:
    tmax = number(request.get("tmax")) or number(profile.tmax_ms)
    if 0 < tmax < number(latency_ms):
        yield broken("latency", "", f"{latency_ms:.1f} ms where {said(tmax)} ms are given")


def _headers(headers: Mapping[str, str]) -> Iterator[Violation]:
    kind = headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        yield broken("content_type", "", said(kind) if kind else "none")
    version = headers.get("x-openrtb-version")
    if version is not None and not re.fullmatch(r"\d{1,3}\.\d{1,3}", version):
        yield broken("openrtb_version", "", said(version))
