"""Regulation: what the law wants of a bid. D24, D25."""

from collections.abc import Iterator
from urllib.parse import unquote

from bidder.openrtb.lint.case import Case
from bidder.openrtb.lint.loose import Json, flag, number, table, tables, text
from bidder.openrtb.lint.rules import Violation, broken
from bidder.openrtb.lint.urls import URLS

SHORTEST = 6  # characters of a value that cannot stand somewhere by chance
OF_DEVICE = ("ifa", "ip", "ipv6", "didsha1", "didmd5", "dpidsha1", "dpidmd5", "macsha1", "macmd5")
DSA_REQUIRED = (2, 3)


def violations(case: Case) -> Iterator[Violation]:
    """Echoes of a person, and transparency."""
    if _is_private(case.request):
        yield from _echoes(case)
    regs = table(case.request.get("regs"))
    dsa = table(regs.get("dsa")) or table(table(regs.get("ext")).get("dsa"))
    if number(dsa.get("dsarequired")) in DSA_REQUIRED and not table(table(case.bid.get("ext")).get("dsa")):
        yield broken("dsa", case.at("ext"), "no dsa")


def _is_private(request: Json) -> bool:
    """Must the person not be known? coppa, lmt, or gdpr without a consent string, in either place."""
    regs, user, device = (table(request.get(name)) for name in ("regs", "user", "device"))
    gdpr = regs.get("gdpr") if regs.get("gdpr") is not None else table(regs.get("ext")).get("gdpr")
    consent = text(user.get("consent")) or text(table(user.get("ext")).get("consent"))
    return flag(regs.get("coppa")) or flag(device.get("lmt")) or (flag(gdpr) and consent is None)


def _personal(request: Json) -> Iterator[tuple[str, str]]:
    """(where it stands in the request, value)."""
    user, device = table(request.get("user")), table(request.get("device"))
    for name in ("id", "buyeruid"):
        yield f"user.{name}", text(user.get(name)) or ""
    for name in OF_DEVICE:
        yield f"device.{name}", text(device.get(name)) or ""
    for holder in (user, table(user.get("ext"))):
        for eid in tables(holder.get("eids")):
            for uid in tables(eid.get("uids")):
                yield "eids", text(uid.get("id")) or ""


def _echoes(case: Case) -> Iterator[Violation]:
    personal = [(name, value.lower()) for name, value in _personal(case.request) if len(value) >= SHORTEST]
    for field in (*URLS, "adm"):
        held = case.bid.get(field, "")
        where = held.lower() + "\n" + unquote(held).lower()
        for name, value in personal:
            if value in where:
                yield broken("privacy_echo", case.at(field), f"{name} of the request")
