"""URLs and macros: notices, what is left in them and in the markup, and http where https must be."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from bidder.openrtb.lint.case import Case
from bidder.openrtb.lint.rules import Violation, broken, said

NOTICES = ("nurl", "burl", "lurl")
URLS = (*NOTICES, "iurl")
_PRINTED = re.compile(r"[!-~]+")
_ANY_MACRO = re.compile(r"\$\{(\w{1,64})(?::\w{1,16})?\}")
_AUCTION_MACRO = re.compile(r"\$\{(AUCTION_\w{0,64})(?::\w{1,16})?\}")  # others may be the page's own template strings
_MARK = re.compile(
    r"\{\{[^{}]{1,64}\}\}|\[\[[A-Za-z_][\w .-]{0,64}\]\]|%\([A-Za-z_]\w{0,64}\)[sdrf]|\{(?:click_url|pixel)\}"
)
_NAME_SPACE = re.compile(r"""\b(?:xmlns(?::[\w.-]+)?|\w+:(?:noNamespaceS|s)chemaLocation)\s*=\s*(\\?["'])[^"'<>]*\1""")


def is_absolute(url: str) -> bool:
    """An http(s) URL with a host, in printable ASCII without blanks. Macros may stand in it."""
    if not _PRINTED.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that hold no address
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.netloc)


def violations(case: Case) -> Iterator[Violation]:
    """D16, D17, D19 and lengths."""
    bid, profile = case.bid, case.profile
    if not case.adm and not bid.get("nurl"):
        yield broken("no_markup", case.path, "neither adm nor nurl")
    elif not case.adm and profile.adm_required:
        yield broken("adm_absent", case.path, "no adm")
    urls: dict[str, str] = {name: bid[name] for name in URLS if name in bid}
    for name, url in urls.items():
        if not is_absolute(url):
            yield broken("notice_url", case.at(name), said(url))
        if name in NOTICES and profile.max_notice_chars is not None and len(url) > profile.max_notice_chars:
            yield broken("notice_chars", case.at(name), f"{len(url)} characters, {profile.max_notice_chars} are taken")
    for name, held, macros in [*((n, u, _ANY_MACRO) for n, u in urls.items()), ("adm", case.adm, _AUCTION_MACRO)]:
        decoded = unquote(held)
        if unknown := set(macros.findall(decoded)) - profile.macros:
            yield broken("macro", case.at(name), f"nobody fills {said(sorted(unknown))}")
        if mark := _MARK.search(decoded):
            yield broken("template_mark", case.at(name), said(mark[0]))
    everywhere = [unquote(held) for held in (urls.get("nurl", ""), urls.get("burl", ""), case.adm)]
    if not any(macro in held for macro in profile.price_macros for held in everywhere):
        yield broken("price_macro", case.path, f"nowhere {said(profile.price_macros)}")


def secure(case: Case) -> Iterator[Violation]:
    """D16, of a bid for an imp with secure 1."""
    bare = _NAME_SPACE.sub("", case.adm.replace("\\/", "/")).lower()
    if "http:" in bare or "http%3a" in bare:
        yield broken("secure_markup", case.at("adm"), "http: in the markup")
    elif case.adm and "https:" not in bare and "https%3a" not in bare:
        yield broken("secure_https", case.at("adm"), "no https: in the markup")
    for name in URLS:
        if case.bid.get(name, "").lower().startswith("http:"):
            yield broken("secure_notice", case.at(name), "over http")
