"""What each law and each choice leaves: a case a line, the same lines as in docs/consent.md."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.consent import EEA
from bidder._fast.request import Reader
from bidder.settings import Consent
from tests.consent_strings import BEFORE_DISCLOSURE, Restriction, agreed, gpp_string, tc_string, us_string
from tests.reference import consent as reference
from tests.reference import request as reference_request

VENDOR = 30
US = Consent(vendor_id=VENDOR)
STRICT = replace(US, contextual=False)
FLEXIBLE = replace(US, flexible_purposes=(2, 7))
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "consent.md"

ALL = "everything"
CONTEXT = "bid, log, locate"
BASIS = "bid, locate"
CHILD = "bid"
NOTHING = "nothing"
INSENSITIVE = "bid, identify, sync, log, locate"


@dataclass(frozen=True)
class Case:
    law: str
    says: str  # what the request says
    left: str
    regs: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    us: Consent = US


def gdpr(says: str, left: str, consent: str | None, us: Consent = US) -> Case:
    user = {} if consent is None else {"consent": consent}
    return Case("GDPR", f"gdpr=1, {says}", left, {"gdpr": 1}, user, us=us)


def restricted(*rules: tuple[int, int], **changes: Any) -> str:
    """Everything agreed to, but for the publisher's rules on us: purpose and type."""
    rows = [Restriction(purpose, kind, [(1, 5), (VENDOR, VENDOR)]) for purpose, kind in rules]
    return agreed(VENDOR, restrictions=rows, **changes)


def gpp(says: str, left: str, sections: dict[int, str], sid: list[int] | None, **more: Any) -> Case:
    regs = {"gpp": gpp_string(sections)} | ({} if sid is None else {"gpp_sid": sid}) | more.pop("regs", {})
    return Case("GPP", says, left, regs, **more)


USA = {"geo": {"country": "USA"}}
FRANCE = {"geo": {"country": "FRA"}}
AGREED = agreed(VENDOR)
OLD = {"created": BEFORE_DISCLOSURE, "disclosed": None}
CASES = [
    Case("none", "nothing of any law", ALL),
    Case("none", "empty strings, nulls and objects of other types", ALL, {"us_privacy": "", "gpp": "", "gdpr": None}),
    # --- GDPR
    gdpr("all agreed to", ALL, agreed(VENDOR)),
    Case("GDPR", "gdpr and consent in `ext`", ALL, {"ext": {"gdpr": 1}}, {"ext": {"consent": AGREED}}),
    gdpr("no consent string", BASIS, None),
    gdpr("an empty consent string", BASIS, ""),
    gdpr("a consent string that is damaged", BASIS, agreed(VENDOR)[:50]),
    gdpr("a consent string of version 1", BASIS, "BOVeoB_OVeoFxC-AHAFRBtAAAAAhGAEAD4AXAA2YCEQ"),
    gdpr("a consent string with an odd character", BASIS, agreed(VENDOR).replace("A", "+", 1)),
    gdpr("all agreed to, but we have no vendor id", BASIS, agreed(VENDOR), Consent()),
    gdpr("all agreed to, for another vendor", BASIS, agreed(VENDOR + 1)),
    gdpr("the vendor, but no purpose", BASIS, agreed(VENDOR, consent=(), interest=())),
    gdpr("the purposes, but not the vendor", BASIS, agreed(VENDOR, vendor_consent=(), vendor_interest=())),
    gdpr("purpose 2 on interest", "bid, identify, locate", agreed(VENDOR, consent=(), interest=(2,), features=())),
    gdpr("consent to purpose 2, which we declare on interest", BASIS, agreed(VENDOR, consent=(2,), interest=())),
    gdpr("purpose 1 alone", BASIS, agreed(VENDOR, consent=(1,), interest=())),
    gdpr("purposes 1 and 2", "bid, identify, sync, locate", agreed(VENDOR, consent=(1,), interest=(2,), features=())),
    gdpr(
        "purposes 2 and 4", "bid, personalise, identify, locate",
        agreed(VENDOR, consent=(4,), interest=(2,), features=()),
    ),
    gdpr("purposes 2 and 7", "bid, identify, log, locate", agreed(VENDOR, consent=(), interest=(2, 7), features=())),
    gdpr("purpose 4 on interest, which is never enough", BASIS, agreed(VENDOR, consent=(), interest=(4,))),
    gdpr("all but special feature 1", "bid, personalise, identify, sync, log, locate", agreed(VENDOR, features=(2,))),
    gdpr(
        "special feature 1, which we do not declare", "bid, personalise, identify, sync, log, locate", agreed(VENDOR),
        replace(US, precise_geo=False),
    ),
    gdpr("special feature 1 alone", BASIS, agreed(VENDOR, consent=(), interest=())),
    gdpr("the publisher forbids us purpose 2", NOTHING, restricted((2, 0))),
    gdpr("the publisher forbids others purpose 2", ALL, agreed(VENDOR, restrictions=[Restriction(2, 0, [(1, 29)])])),
    gdpr("the publisher forbids us purpose 4", "bid, identify, sync, log, locate, pinpoint", restricted((4, 0))),
    gdpr("the publisher wants consent for 2, which we declare on interest", ALL, restricted((2, 1))),
    gdpr("as before, nothing else agreed to", BASIS, restricted((2, 1), consent=(2,), interest=(2,))),
    gdpr(
        "as before, and 2 is flexible with us", "bid, identify, locate, pinpoint",
        restricted((2, 1), consent=(2,), interest=(2,)), FLEXIBLE,
    ),
    gdpr(
        "the publisher wants interest for 4", "bid, identify, sync, log, locate, pinpoint", restricted((4, 2)),
    ),
    gdpr("the publisher wants both bases for 2, or none", NOTHING, restricted((2, 1), (2, 2))),
    gdpr("a restriction of a type that nobody defined, on 2", NOTHING, restricted((2, 3))),
    gdpr("changed from March 2026 on, no segment of disclosed vendors", BASIS, agreed(VENDOR, disclosed=None)),
    gdpr("changed from March 2026 on, we are not disclosed", BASIS, agreed(VENDOR, disclosed=(2, 3))),
    gdpr("changed from March 2026 on, we are only allowed", BASIS, agreed(VENDOR, disclosed=(2,), allowed=(VENDOR,))),
    gdpr("older, no segment of disclosed vendors", ALL, agreed(VENDOR, **OLD)),
    gdpr("older, we are not disclosed", ALL, agreed(VENDOR, **(OLD | {"disclosed": (2, 3)}))),
    gdpr("no basis for 2, and we bid on nothing less", NOTHING, agreed(VENDOR, interest=()), STRICT),
    gdpr("no consent string, and we bid on nothing less", NOTHING, None, STRICT),
    gdpr("all agreed to, and we bid on nothing less", ALL, agreed(VENDOR), STRICT),
    Case(
        "GDPR", "two strings, of which one grants less", "bid, identify, locate", {"gdpr": 1},
        {"consent": agreed(VENDOR), "ext": {"consent": agreed(VENDOR, consent=(), interest=(2,), features=())}},
    ),
    Case("GDPR", "two strings, one damaged", BASIS, {"gdpr": 1}, {"consent": AGREED, "ext": {"consent": "x"}}),
    Case("GDPR", "gdpr=0, a damaged string", ALL, {"gdpr": 0}, {"consent": "x"}),
    Case("GDPR", "gdpr=0, a country of the EEA", ALL, {"gdpr": 0}, device=FRANCE),
    Case("GDPR", "gdpr=0 and 1 in its two places, no consent string", BASIS, {"gdpr": 0, "ext": {"gdpr": 1}}),
    Case("GDPR", "gdpr=2, no consent string", BASIS, {"gdpr": 2}),
    Case("GDPR", "gdpr not named, a country of the EEA, no consent string", BASIS, device=FRANCE),
    Case("GDPR", "gdpr not named, a country of the EEA, all agreed to", ALL, {}, {"consent": AGREED}, FRANCE),
    Case("GDPR", "gdpr not named, another country, a damaged string", ALL, {}, {"consent": "x"}, USA),
    Case("GDPR", "gdpr not named, no country, a damaged string", BASIS, {}, {"consent": "x"}),
    # --- US
    Case("US privacy", "1YNN", ALL, {"us_privacy": "1YNN"}),
    Case("US privacy", "1---, the law does not apply", ALL, {"us_privacy": "1---"}),
    Case("US privacy", "1YYN", CONTEXT, {"us_privacy": "1YYN"}),
    Case("US privacy", "1nyn, in `ext`", CONTEXT, {"ext": {"us_privacy": "1nyn"}}),
    Case("US privacy", "1YNN and 1YYN in two places", CONTEXT, {"us_privacy": "1YNN", "ext": {"us_privacy": "1YYN"}}),
    Case("US privacy", "1Y, which is damaged", CONTEXT, {"us_privacy": "1Y"}),
    Case("US privacy", "2YNN, of a later version", CONTEXT, {"us_privacy": "2YNN"}),
    Case("GPC", "the browser's opt-out", CONTEXT, {"ext": {"gpc": "1"}}),
    Case("GPC", "gpc=0", ALL, {"gpc": 0}),
    # --- GPP
    gpp("no section", ALL, {}, []),
    gpp("US national: nothing opted out of", ALL, {7: us_string(7)}, [7]),
    gpp("US national, before 2024: opted out", CONTEXT, {7: us_string(7, {"opt-out": 1}, wide=False)}, [7]),
    gpp("US national: opted out", CONTEXT, {7: us_string(7, {"opt-out": 1})}, [7]),
    gpp("US national: opted out, but the section does not apply", ALL, {7: us_string(7, {"opt-out": 1})}, [-1]),
    gpp("US national: opted out, another section applies and is there", ALL,
        {7: us_string(7, {"opt-out": 1}), 8: us_string(8)}, [8]),
    gpp("US national: opted out, no gpp_sid", CONTEXT, {7: us_string(7, {"opt-out": 1})}, None),
    gpp("US national: the notice was not given", CONTEXT, {7: us_string(7, {"notice": 2})}, [7]),
    gpp("US national: service provider mode", CONTEXT, {7: us_string(7, {"service provider": 1})}, [7]),
    gpp("US national: sensitive data opted out of", INSENSITIVE, {7: us_string(7, {"sensitive": 1})}, [7]),
    gpp("US national: a known child", CHILD, {7: us_string(7, {"child": 1})}, [7]),
    gpp("US national: a known child, whose parents consented", CHILD, {7: us_string(7, {"child": 2})}, [7]),
    gpp("US national: an answer that no form has", CONTEXT, {7: us_string(7, {"other": 3})}, [7]),
    gpp("US national: of a later version", CONTEXT, {7: us_string(7, version=9)}, [7]),
    gpp("US national: GPC", CONTEXT, {7: us_string(7, gpc=True)}, [7]),
    gpp("US national: no GPC", ALL, {7: us_string(7, gpc=False)}, [7]),
    gpp("California: opted out", CONTEXT, {8: us_string(8, {"opt-out": 1})}, [8]),
    gpp("Virginia: opted out", CONTEXT, {9: us_string(9, {"opt-out": 1})}, [9]),
    gpp("Utah: no notice about sensitive data", INSENSITIVE, {11: us_string(11, {"sensitive notice": 2})}, [11]),
    gpp("Delaware: a known child", CHILD, {17: us_string(17, {"child": 1})}, [17]),
    gpp("Maryland, with a header: opted out", CONTEXT, {24: us_string(24, {"opt-out": 1}, header=True)}, [24]),
    gpp("two states, one opted out", CONTEXT, {8: us_string(8), 9: us_string(9, {"opt-out": 1})}, [8, 9]),
    gpp("a section applies that is not there", CONTEXT, {8: us_string(8)}, [7]),
    gpp("a section applies that we cannot read (Canada)", CONTEXT, {5: "CPXxRfA"}, [5]),
    gpp("a section applies that nobody has defined", CONTEXT, {60: "BAAA"}, [60]),
    gpp("US privacy in section 6: 1YYN", CONTEXT, {6: "1YYN"}, [6]),
    gpp("section 6 applies and is only in us_privacy: 1YNN", ALL, {}, [6], regs={"us_privacy": "1YNN"}),
    gpp("TCF in section 2, all agreed to", ALL, {2: AGREED}, [2]),
    gpp("TCF in section 2, nothing agreed to", BASIS, {2: tc_string()}, [2]),
    gpp("section 2 applies and is only in user.consent, all agreed to", ALL, {}, [2], user={"consent": AGREED}),
    gpp("TCF in section 2, all agreed to, user.consent is damaged", BASIS, {2: AGREED}, [2], user={"consent": "x"}),
    gpp("TCF in section 2, nothing agreed to, gdpr=0, no gpp_sid", ALL, {2: tc_string()}, None, regs={"gdpr": 0}),
    Case("GPP", "a damaged string, section 7 applies", CONTEXT, {"gpp": "DBABx", "gpp_sid": [7]}),
    Case("GPP", "a damaged string, nothing applies", ALL, {"gpp": "DBABx", "gpp_sid": [-1]}),
    Case("GPP", "a damaged string in `ext`, no gpp_sid", CONTEXT, {"ext": {"gpp": "gppString"}}),
    Case("GPP", "no string, section 8 applies", CONTEXT, {"gpp_sid": [8]}),
    # --- children, and what the user set
    Case("COPPA", "coppa=1", CHILD, {"coppa": 1}),
    Case("COPPA", "coppa=1 in `ext`", CHILD, {"ext": {"coppa": 1}}),
    Case("COPPA", "coppa=1, gdpr=1, all agreed to", CHILD, {"coppa": 1, "gdpr": 1}, {"consent": AGREED}),
    Case("device", "lmt=1", CONTEXT, device={"lmt": 1}),
    Case("device", "dnt=1", CONTEXT, device={"dnt": 1}),
    Case("device", "an ifa of zeros", CONTEXT, device={"ifa": "00000000-0000-0000-0000-000000000000"}),
    Case("device", "ATT authorised", ALL, device={"ext": {"atts": 3}}),
    Case("device", "ATT authorised, lmt=1", CONTEXT, device={"ext": {"atts": 3}, "lmt": 1}),
    Case("device", "ATT denied", CONTEXT, device={"ext": {"atts": 2}}),
    Case("device", "ATT not yet asked", CONTEXT, device={"ext": {"atts": 0}}),
    Case("device", "ATT of a status that there is not", CONTEXT, device={"ext": {"atts": "x"}}),
    # --- several at once
    Case("several", "gdpr=1, all agreed to, lmt=1", CONTEXT, {"gdpr": 1}, {"consent": AGREED}, {"lmt": 1}),
    Case("several", "gdpr=1, no consent string, 1YYN", BASIS, {"gdpr": 1, "us_privacy": "1YYN"}),
    Case("several", "gdpr=1, purpose 2 forbidden by the publisher, coppa=1", NOTHING, {"gdpr": 1, "coppa": 1},
         {"consent": restricted((2, 0))}),
]  # fmt: skip
PERSON = {
    "user": {"id": "u", "gender": "F", "yob": 1980, "data": [{"segment": [{"id": "s"}]}]},
    "device": {"geo": {"city": "Albany", "metro": "532", "zip": "12207", "lat": 42.6, "lon": -73.7}},
}


def request(case: Case) -> bytes:
    geo = PERSON["device"]["geo"] | case.device.get("geo", {})  # type: ignore[operator]
    device = case.device | {"geo": geo}
    document = {
        "id": "r",
        "imp": [{"id": "1"}],
        "regs": case.regs,
        "user": PERSON["user"] | case.user,
        "device": device,
    }
    return json.dumps(document).encode()


def named(may: list[str]) -> str:
    return ALL if len(may) == 7 else ", ".join(may) or NOTHING


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.law}: {case.says}")
def test_a_law_leaves_what_the_table_says(case: Case) -> None:
    reader = Reader(case.us)
    assert reader.parse(request(case)) == 0
    view = reader.view()
    assert named(view["may"]) == case.left
    parsed = reference_request.parse(request(case))
    assert parsed is not None
    assert set(view["may"]) == reference.allowed(reference_request.signals(parsed), case.us)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.law}: {case.says}")
def test_what_may_not_be_used_is_not_there(case: Case) -> None:
    reader = Reader(case.us)
    reader.parse(request(case))
    view = reader.view()
    may = set(view["may"])
    assert (view["user"] == "u", view["has_user_id"]) == ("identify" in may, "identify" in may)
    profile = (view["gender"], view["yob"], view["segments"])
    assert profile == (("F", 1980, ["s"]) if "personalise" in may else (None, 0, []))
    assert (view["city"], view["metro"]) == (("Albany", "532") if "locate" in may else (None, None))
    place = (view["zip"], view["has_point"], view["lat"])
    assert place == (("12207", True, 42.6) if "pinpoint" in may else (None, False, 0.0))


def test_the_table_is_in_the_documentation() -> None:
    rows = [f"| {case.law} | {case.says} | {case.left} |" for case in CASES]
    assert len(set(rows)) == len(rows) >= 60
    written = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line for line in written if line in rows] == rows


def test_gdpr_applies_in_the_countries_that_the_reference_lists() -> None:
    assert set(EEA) == reference.EUROPE
    assert len(EEA) == 31
