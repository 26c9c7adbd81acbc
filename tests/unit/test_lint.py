"""The linter objects to every broken rule, to that rule alone, and to nothing in a good answer."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bidder.openrtb.lint import RULES, Profile, Severity, lint
from tests.lint_cases.breaks import BREAKS
from tests.lint_cases.good import DROP, NATIVE_ANSWER, NATIVE_REQUEST, Talk, native_changed, talk, vast, wrapper

IMP = "request.imp.0"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "lint.md"


def names(made: Talk) -> set[str]:
    return {violation.rule for violation in made.violations()}


@pytest.mark.parametrize(("rule", "medium", "changes"), BREAKS, ids=[f"{n}-{row[0]}" for n, row in enumerate(BREAKS)])
def test_a_broken_rule_is_objected_to_and_no_other_with_it(rule: str, medium: str, changes: dict[str, Any]) -> None:
    found = talk(medium, changes).violations()
    assert {violation.rule for violation in found} == {rule}, found
    assert {violation.severity for violation in found} == {RULES[rule].severity}
    assert all(violation.message.isprintable() and violation.message.isascii() for violation in found)


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {row[0] for row in BREAKS} == set(RULES)


@pytest.mark.parametrize("medium", ["banner", "video", "audio", "native"])
def test_nobody_objects_to_a_good_answer(medium: str) -> None:
    assert talk(medium).violations() == []


GOOD: list[tuple[str, dict[str, Any]]] = [
    ("banner", {"status": 204, "body": b""}),
    ("banner", {"status": 400, "body": b"", "asked": b"{"}),
    ("banner", {"status": 400, "body": b"", "request": {"imp": []}}),
    ("banner", {"response": {"id": "r-1", "nbr": 2}}),
    ("banner", {"headers": None, "latency_ms": 99.9}),
    ("banner", {"headers": {"CONTENT-TYPE": "application/json; charset=utf-8"}}),
    ("banner", {"request.id": 7, "response.id": "7"}),
    ("banner", {"request.cur": ["eur", "usd"]}),
    ("banner", {"request.cur": ["EUR"], "response.cur": "EUR", f"{IMP}.bidfloorcur": "EUR"}),
    ("banner", {"profile": Profile(seats=frozenset({"outbid"}), max_response_bytes=4_096, max_notice_chars=500)}),
    ("banner", {"request.wseat": ["outbid"], "request.bseat": ["other"], "seat.group": 1}),
    ("banner", {f"{IMP}.bidfloor": 2.5}),
    ("banner", {f"{IMP}.bidfloor": 0.1, "bid.price": 0.1}),
    ("banner", {f"{IMP}.bidfloor": 2.25, f"{IMP}.bidfloorcur": "EUR", "rates": {"EUR": Decimal("0.9")}}),
    (
        "banner",
        {f"{IMP}.pmp.deals": [{"id": "d", "at": 3, "bidfloor": 2.5, "wadomain": ["example"]}], "bid.dealid": "d"},
    ),
    ("banner", {f"{IMP}.pmp.deals": [{"id": 7, "wseat": ["outbid"]}], "bid.dealid": "7"}),
    ("banner", {f"{IMP}.pmp.deals": [{"id": "d"}], "bid.dealid": "d", "bid.price": 0, f"{IMP}.bidfloor": 0}),
    ("banner", {"request.badv": ["me.example", "globex.example"]}),
    ("banner", {"request.bcat": ["IAB2", "IAB30", "IAB3-1"], "request.bapp": ["com.acme"]}),
    ("banner", {"request.acat": ["IAB3"], "bid.cat": ["IAB3-4", "iab3"]}),
    ("banner", {"request.cattax": 6, "bid.cattax": 6, "bid.cat": ["53"], "request.bcat": ["5"]}),
    ("banner", {f"{IMP}.banner": {}}),
    ("banner", {f"{IMP}.banner": {"w": 0.5, "h": 0.5}}),
    ("banner", {f"{IMP}.banner": {"w": 300.0, "h": "250"}, "bid.w": DROP, "bid.h": DROP}),
    ("banner", {f"{IMP}.banner": {"format": [{"wratio": 6, "hratio": 5, "wmin": 200}]}}),
    ("banner", {f"{IMP}.banner.btype": [1, 4], "bid.adm": "<script>`${a}`</script>"}),
    ("banner", {f"{IMP}.banner.api": [3, 5], "bid.apis": [5], "bid.adm": '<script src="mraid.js"></script>'}),
    ("banner", {f"{IMP}.secure": 1}),
    (
        "banner",
        {f"{IMP}.secure": 1, "bid.adm": '<svg xmlns="http://www.w3.org/2000/svg"/><img src="https://a.example">'},
    ),
    ("banner", {"request.user.id": "someone-known", "bid.iurl": "https://t.example/someone-known"}),
    ("banner", {"request.regs.coppa": 1, "request.user.id": "1"}),
    ("banner", {"request.regs.ext.dsa": {"dsarequired": 2}, "bid.ext": {"dsa": {"adrender": 1}}}),
    (
        "banner",
        {"bid.lurl": "https://t.example/?p=${AUCTION_PRICE:B64}&r=${AUCTION_LOSS}&d=%24%7BAUCTION_DISCOUNT_PCT%7D"},
    ),
    (
        "banner",
        {"bid.mtype": 4, f"{IMP}.native": {"request": "{oops"}, "bid.adm": '{"link":{"url":"https://a.example"}}'},
    ),
    ("video", {f"{IMP}.secure": 1}),
    ("video", {"bid.adm": vast("2.0"), "bid.protocol": 2}),
    *(("audio", {"bid.adm": vast(version, mime="audio/mpeg")}) for version in ("2.0", "3.0", "4.0", "4.1", "4.2")),
    ("video", {"bid.adm": wrapper("4.2"), "bid.protocol": 14, f"{IMP}.video.protocols": ["14"]}),
    ("video", {"bid.adm": DROP}),
    ("video", {"bid.adm": vast(media=' apiFramework="VPAID"'), f"{IMP}.video.api": [2], "bid.api": 2}),
    ("video", {"bid.adm": vast(linear=' skipoffset="00:00:05"'), f"{IMP}.video.skip": 1, "bid.attr": [16]}),
    ("video", {"bid.adm": vast(seconds="00:00:35"), "bid.dur": 35, f"{IMP}.video.maxextended": 5}),
    ("video", {f"{IMP}.video.rqddurs": [15, 30], f"{IMP}.video.podid": "p", "bid.slotinpod": 1}),
    ("video", {f"{IMP}.video.durfloors": [{"maxdur": 10, "bidfloor": 9}, {"mindur": 11, "bidfloor": 2.5}]}),
    ("video", {f"{IMP}.video.durfloors": [{"mindur": 60, "bidfloor": 9}], f"{IMP}.video.mincpmpersec": 0.1}),
    ("video", {"bid.adm": vast(ads=2, ad=' sequence="1"'), "bid.dur": 30, f"{IMP}.video.maxseq": 2}),
    ("video", {"bid.adm": vast().replace("<VAST ", '<VAST xmlns="http://www.iab.com/VAST" '), f"{IMP}.secure": 1}),
    ("native", {f"{IMP}.secure": 1}),
    ("native", {"bid.adm": json.dumps({"native": NATIVE_ANSWER}), f"{IMP}.native.request": {"native": NATIVE_REQUEST}}),
    (
        "native",
        {"bid.adm": native_changed(NATIVE_ANSWER, link={"url": "acme://x", "fallback": "https://acme.example"})},
    ),
    ("native", {"bid.adm": native_changed(NATIVE_ANSWER, assets=DROP, assetsurl="https://cdn.acme.example/assets")}),
    ("native", {"bid.adm": native_changed(NATIVE_ANSWER, assets__2=DROP, ver="1.1")}),
    (
        "native",
        {f"{IMP}.native.request": native_changed(NATIVE_REQUEST, assets__0__title={}, assets__2={"id": 3, "data": {}})},
    ),
    ("native", {f"{IMP}.banner": {"w": 300, "h": 250}}),
]


@pytest.mark.parametrize(("medium", "changes"), GOOD)
def test_nobody_objects_to_what_the_standard_allows(medium: str, changes: dict[str, Any]) -> None:
    assert talk(medium, changes).violations() == []


def test_bids_of_one_response_are_told_apart() -> None:
    made = talk("banner", {"request.imp.1": {"id": "2", "banner": {"w": 320, "h": 50}}})
    (bid,) = made.response["seatbid"][0]["bid"]
    second = {**bid, "id": "b-2", "impid": "2", "w": 320, "h": 50}
    made.response["seatbid"].append({"seat": "outbid", "bid": [second]})
    assert made.violations() == []
    second["id"], second["h"] = "b-1", 51
    found = [(violation.rule, violation.path) for violation in made.violations()]
    assert found == [("bid_id", "seatbid[1].bid[0].id"), ("size", "seatbid[1].bid[0].w")]


def test_a_path_holds_names_of_the_standard_only() -> None:
    made = talk("banner", {"bid.someone@mail.example": 1, "response.other\ud800": None})
    assert [(violation.rule, violation.path) for violation in made.violations()] == [
        ("unknown_field", ""),
        ("unknown_field", "seatbid[0].bid[0]"),
    ]


def test_numbers_that_cannot_be_written_out_are_judged() -> None:
    huge = 10**5_000
    changes = {f"{IMP}.native": {"ver": huge, "request": {**NATIVE_REQUEST, "ver": huge}}, f"{IMP}.bidfloor": huge}
    assert names(talk("native", changes)) == {"floor"}


def test_violations_are_bounded() -> None:
    body = json.dumps({"id": "r-1", "nbr": 1, **{f"x{n}": 1 for n in range(5_000)}}).encode()
    assert len(lint({"id": "r-1"}, body)) == 1_000


def test_the_document_has_the_table_of_the_code() -> None:
    rows = [f"| `{name}` | {rule.place} | {rule.severity.value} | {rule.what} |" for name, rule in RULES.items()]
    found = [
        line for line in DOCS.read_text(encoding="utf-8").splitlines() if re.match(r"\| `\w+` \| [TBDX]\d+ ", line)
    ]
    assert found == rows
    assert {rule.severity for rule in RULES.values()} == set(Severity)
