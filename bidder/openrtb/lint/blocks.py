"""Blocks: what the request does not want to see, and terms of the bid. D6 to D9, D18, D20 to D23.

Advertisers, apps, categories, attributes, frameworks, languages; crid, expiry, place in a pod.
"""

import re
from collections.abc import Iterator

from bidder.openrtb.lint.case import Case
from bidder.openrtb.lint.domains import any_below, any_covers
from bidder.openrtb.lint.loose import codes, number, tables, text, texts
from bidder.openrtb.lint.rules import Violation, broken, said

MRAID = {3, 5, 6}
IAB_1 = 1  # cattax where nothing else is said
_DOMAIN = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})+")


def violations(case: Case) -> Iterator[Violation]:
    """All of them."""
    yield from _advertiser(case)
    yield from _categories(case)
    yield from _attributes(case)
    yield from _frameworks(case)
    yield from _language(case)
    yield from _terms(case)


def _advertiser(case: Case) -> Iterator[Violation]:
    domains, blocked, path = case.bid.get("adomain", []), texts(case.request.get("badv")), case.at("adomain")
    if not domains:
        yield broken("adomain_absent_badv" if blocked else "adomain_absent", path, "none")
    for domain in domains:
        if not _DOMAIN.fullmatch(domain):
            yield broken("adomain", path, f"{said(domain)} is no bare domain")
        elif any_below(domain, blocked):
            yield broken("badv", path, f"{said(domain)} is blocked")
    bundle = case.bid.get("bundle", "").lower()
    if bundle and bundle in {name.lower() for name in texts(case.request.get("bapp"))}:
        yield broken("bapp", case.at("bundle"), f"{said(bundle)} is blocked")


def _categories(case: Case) -> Iterator[Violation]:
    categories, path = case.bid.get("cat", []), case.at("cat")
    blocked, allowed = texts(case.request.get("bcat")), texts(case.request.get("acat"))
    taxonomy, wanted = case.bid.get("cattax", IAB_1), int(number(case.request.get("cattax"))) or IAB_1
    if not categories:
        if blocked or allowed:
            yield broken("cat_absent", path, "none")
        return
    if taxonomy != wanted:
        yield broken("cattax", case.at("cattax"), f"{said(taxonomy)} where {wanted} is the request's")
        return  # what is said in another taxonomy cannot be compared
    for category in categories:
        if any_covers(category, blocked):
            yield broken("bcat", path, f"{said(category)} is blocked")
        if allowed and not any_covers(category, allowed):
            yield broken("acat", path, f"{said(category)} is not allowed")


def _attributes(case: Case) -> Iterator[Violation]:
    attributes = set(case.bid.get("attr", []))
    if blocked := attributes & codes(case.slot.get("battr")):
        yield broken("battr", case.at("attr"), f"{said(blocked)} are blocked")
    for companion in tables(case.slot.get("companionad")):
        if blocked := attributes & codes(companion.get("battr")):
            yield broken("battr_companion", case.at("attr"), f"{said(blocked)} are blocked in a companion")


def _frameworks(case: Case) -> Iterator[Violation]:
    offered = codes(case.slot.get("api"))
    if case.medium and (unknown := case.apis - offered):
        yield broken("api", case.at("api"), f"{said(unknown)} where {said(offered)} are there")
    if case.medium == "banner" and "mraid.js" in case.adm and not offered & MRAID:
        yield broken("mraid", case.at("adm"), "mraid.js where no MRAID is there")


def _language(case: Case) -> Iterator[Violation]:
    language, tag = case.bid.get("language", "").lower(), case.bid.get("langb", "").lower()
    if language and tag:
        yield broken("language_twice", case.at("langb"), "language and langb")
    languages = {one.lower() for one in texts(case.request.get("wlang"))}
    tags = {one.lower() for one in texts(case.request.get("wlangb"))}
    if language and languages and language not in languages:
        yield broken("language", case.at("language"), f"{said(language)} is not in wlang")
    if tag and tags and tag not in tags:
        yield broken("language", case.at("langb"), f"{said(tag)} is not in wlangb")
    elif tag and languages and not tags and tag.partition("-")[0] not in languages:
        yield broken("language", case.at("langb"), f"{said(tag)} is not in wlang")


def _terms(case: Case) -> Iterator[Violation]:
    if not case.bid.get("crid"):
        yield broken("crid", case.at("crid"), "none")
    if "exp" in case.bid:
        exp, longest = case.bid["exp"], number(case.imp.get("exp"))
        if exp <= 0:
            yield broken("exp", case.at("exp"), said(exp))
        elif 0 < longest < exp:
            yield broken("exp_long", case.at("exp"), f"{said(exp)} s where {said(longest)} s are the imp's")
    position, offered = case.bid.get("slotinpod", 0), int(number(case.slot.get("slotinpod")))
    if position and not text(case.slot.get("podid")):
        yield broken("slotinpod", case.at("slotinpod"), f"{said(position)} where there is no pod")
    elif position and offered > 0 and position != offered:
        yield broken("slotinpod", case.at("slotinpod"), f"{said(position)} where {offered} is guaranteed")
