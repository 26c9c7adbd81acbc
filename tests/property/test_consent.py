"""Consent strings: the compiled reader against iab-tcf and against the slow one, on what CMPs write and on damage."""

import json
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from iab_tcf import ConsentV2, decode_v2

from bidder._fast.consent import MAY
from bidder._fast.gpp import sections_of
from bidder._fast.request import Reader
from bidder._fast.tcf import grant_of
from bidder.settings import Consent
from tests.consent_strings import SINCE_DISCLOSURE, Restriction, agreed, base64url, gpp_string, tc_string, us_string
from tests.reference import consent as reference
from tests.reference import request as reference_request

VENDOR = 30
PURPOSES = st.sets(st.integers(1, 12))
VENDORS = st.one_of(st.sets(st.integers(1, 40), max_size=12), st.sets(st.integers(20, 40), min_size=14))
RANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 15)).map(lambda t: (t[0], t[0] + t[1])), max_size=4)
MOMENTS = st.one_of(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
    st.integers(-3, 3).map(lambda n: SINCE_DISCLOSURE + timedelta(milliseconds=100 * n)),
)
TC_STRINGS = st.builds(
    tc_string,
    created=MOMENTS,
    updated=st.none() | MOMENTS,
    features=st.sets(st.integers(1, 12)),
    consent=PURPOSES,
    interest=PURPOSES,
    vendor_consent=VENDORS,
    vendor_interest=VENDORS,
    restrictions=st.lists(st.builds(Restriction, st.integers(1, 12), st.integers(0, 3), RANGES), max_size=4),
    disclosed=st.none() | VENDORS,
    allowed=st.none() | VENDORS,
    publisher=st.none() | PURPOSES,
    ranged=st.booleans(),
)


@st.composite
def declared(draw: st.DrawFn) -> Consent:
    """How a vendor is on the Global Vendor List: each purpose on one basis, some flexible."""
    bases = draw(st.lists(st.sampled_from(["none", "consent", "interest"]), min_size=11, max_size=11))
    return Consent(
        vendor_id=draw(st.sampled_from([1, VENDOR, VENDOR, VENDOR, 41, 65_535])),
        consent_purposes=tuple(n for n, basis in enumerate(bases, 1) if basis == "consent"),
        interest_purposes=tuple(n for n, basis in enumerate(bases, 1) if basis == "interest"),
        flexible_purposes=tuple(draw(st.sets(st.integers(1, 11)))),
        precise_geo=draw(st.booleans()),
        contextual=draw(st.booleans()),
    )


def by_iab_tcf(text: str, us: Consent) -> dict[str, Any]:
    """The policy over what iab-tcf reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses utcfromtimestamp
        said: ConsentV2 = decode_v2(text)

    def has_basis(purpose: int) -> bool:
        kinds = {
            rule.restriction_type
            for rule in said.pub_restriction_entries
            if rule.purpose_id == purpose and rule.is_in_range(us.vendor_id)
        }
        consent = said.is_purpose_allowed(purpose) and said.is_vendor_allowed(us.vendor_id)
        interest = (
            said.has_purpose_legitimate_interest(purpose)
            and said.is_interest_allowed(us.vendor_id)
            and purpose not in (1, 3, 4, 5, 6)
        )
        flexible = purpose in us.flexible_purposes
        if not kinds:
            return bool((consent and purpose in us.consent_purposes) or (interest and purpose in us.interest_purposes))
        if kinds == {1}:
            return bool(consent and (flexible or purpose in us.consent_purposes))
        return bool(kinds == {2} and interest and (flexible or purpose in us.interest_purposes))

    latest = max(said.created, said.last_updated).replace(tzinfo=UTC)
    disclosed = latest < SINCE_DISCLOSURE or getattr(said, "oob_disclosed_vendors", {}).get(us.vendor_id, False)
    rules = {
        rule.restriction_type
        for rule in said.pub_restriction_entries
        if rule.purpose_id == 2 and rule.is_in_range(us.vendor_id)
    }
    return {
        "purposes": [n for n in range(1, 25) if disclosed and has_basis(n)],
        "precise_geo": bool(disclosed and us.precise_geo and said.special_features_optin[1]),
        "forbidden": bool(rules & {0, 3}) or rules == {1, 2},
    }


def by_reference(text: str, us: Consent) -> dict[str, Any] | None:
    try:
        found = reference.granted(text, us)
    except reference.Damaged:
        return None
    return {
        "purposes": sorted(found.purposes),
        "precise_geo": found.precise_geo,
        "forbidden": found.forbidden,
    }


@settings(max_examples=300, deadline=None)
@given(TC_STRINGS, declared())
def test_a_tc_string_grants_what_iab_tcf_and_the_reference_read_in_it(text: str, us: Consent) -> None:
    granted = grant_of(text.encode(), us)
    assert granted is not None
    assert granted == by_iab_tcf(text, us)
    assert granted == by_reference(text, us)


def damaged(draw: st.DrawFn, text: str) -> str:
    """Cut, with characters changed, or with some put in."""
    at = draw(st.integers(0, len(text)))
    removed = draw(st.one_of(st.integers(0, 3), st.just(len(text))))
    put = draw(st.text(st.sampled_from([*reference.ALPHABET, *".~=+/ é\x00"]), max_size=4))
    return text[:at] + put + text[at + removed :]


@settings(max_examples=400, deadline=None)
@given(TC_STRINGS | st.just(agreed(VENDOR)), declared(), st.data())
def test_a_damaged_tc_string_grants_what_the_reference_reads_in_it(text: str, us: Consent, data: Any) -> None:
    broken = damaged(data.draw, text)
    assert grant_of(broken.encode(), us) == by_reference(broken, us)


@settings(max_examples=100, deadline=None)
@given(TC_STRINGS, st.data())
def test_a_tc_string_without_its_end_grants_nothing(text: str, data: Any) -> None:
    core = text.partition(".")[0]
    # Less than the whole of its last field, and not only padding.
    short = core[: data.draw(st.integers(0, len(core) - 4))]
    assert grant_of(short.encode(), Consent(vendor_id=VENDOR)) is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_consent(noise: bytes) -> None:
    us = Consent(vendor_id=VENDOR)
    readable = all(chr(c) in reference.ALPHABET + "." for c in noise)
    assume(not readable)
    assert grant_of(noise, us) is None
    assert grant_of(b"C" + noise, us) is None
    assert sections_of(b"D" + noise, range(63)) is None or b"~" in noise


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(reference.ALPHABET + "."), max_size=400), declared())
def test_random_characters_of_the_alphabet_read_as_the_reference_reads_them(noise: str, us: Consent) -> None:
    for text in (noise, "C" + noise):
        assert grant_of(text.encode(), us) == by_reference(text, us)


ANSWERS = st.dictionaries(
    st.sampled_from(
        ["notice", "sensitive notice", "opt-out", "sensitive", "child", "other", "service provider", "mode", "covered"]
    ),
    st.integers(0, 3),
    max_size=4,
)


@st.composite
def us_sections(draw: st.DrawFn, section: int) -> str:
    return us_string(
        section,
        draw(ANSWERS),
        version=draw(st.sampled_from([1, 1, 1, 1, 2, 0, 3, section])),
        wide=draw(st.booleans()),
        gpc=draw(st.none() | st.booleans()),
        header=section >= 24 and draw(st.booleans()),
    )


@st.composite
def gpp_strings(draw: st.DrawFn) -> str:
    found = {}
    for section in draw(st.sets(st.sampled_from([1, 2, 3, 5, 6, 28, 40, 62, *range(7, 28)]), max_size=5)):
        if section == 2:
            found[section] = draw(TC_STRINGS | st.just(agreed(VENDOR)))
        elif section == 6:
            found[section] = draw(st.sampled_from(["1YNN", "1YYN", "1---", "1", "2YNN"]))
        elif section in range(7, 28):
            found[section] = draw(us_sections(section))
        else:
            found[section] = draw(st.text(st.sampled_from(reference.ALPHABET), min_size=1, max_size=9))
    return gpp_string(found)


def assert_decided_alike(document: dict[str, Any], us: Consent) -> None:
    body = json.dumps(document).encode()
    reader = Reader(us)
    assert reader.parse(body) == 0
    parsed = reference_request.parse(body)
    assert parsed is not None
    allowed = reference.allowed(reference_request.signals(parsed), us)
    assert reader.view()["may"] == [name for name in MAY if name in allowed]


@settings(max_examples=400, deadline=None)
@given(gpp_strings(), st.none() | st.lists(st.integers(-1, 30), max_size=4), declared(), st.data())
def test_a_gpp_string_leaves_what_the_reference_leaves(text: str, sid: Any, us: Consent, data: Any) -> None:
    for gpp in (text, damaged(data.draw, text)):
        regs = {"gpp": gpp} | ({} if sid is None else {"gpp_sid": sid})
        assert_decided_alike({"id": "r", "imp": [{"id": "1"}], "regs": regs}, us)


MAYBE_GDPR = st.sampled_from([{}, {"gdpr": 0}, {"gdpr": 1}, {"gdpr": 2}, {"gdpr": "1"}, {"gdpr": None}, {"gdpr": -1}])
SID = st.lists(st.one_of(st.integers(-1, 70), st.sampled_from(["7", "x", None, -0.5, 2.0])), max_size=3)
REGS = st.builds(
    lambda gdpr, rest: gdpr | rest,
    MAYBE_GDPR,
    st.fixed_dictionaries(
        {},
        optional={
            "coppa": st.sampled_from([0, 1]),
            "gpc": st.sampled_from(["1", "0", 1]),
            "us_privacy": st.sampled_from(["1YNN", "1YYN", "1---", "1", "", "xxxx"]),
            "gpp": gpp_strings(),
            "gpp_sid": SID,
        },
    ),
)
CONSENT = st.one_of(TC_STRINGS, st.just(agreed(VENDOR)), st.sampled_from(["", "dummy", "0101"]))
REQUESTS = st.fixed_dictionaries(
    {"id": st.just("r"), "imp": st.just([{"id": "1"}])},
    optional={
        "regs": st.builds(lambda regs, ext: regs | {"ext": ext}, REGS, REGS),
        "user": st.fixed_dictionaries(
            {}, optional={"consent": CONSENT, "ext": st.fixed_dictionaries({}, optional={"consent": CONSENT})}
        ),
        "device": st.fixed_dictionaries(
            {},
            optional={
                "lmt": st.sampled_from([0, 1]),
                "dnt": st.sampled_from([0, 1]),
                "ifa": st.sampled_from(["0000-00", "a-1", ""]),
                "ext": st.sampled_from([{}, {"atts": 3}, {"atts": 2}, {"atts": "3"}, {"atts": None}, {"atts": "x"}]),
                "geo": st.sampled_from([{"country": "FRA"}, {"country": "usa"}, {"country": "XX"}, {}]),
            },
        ),
    },
)


@settings(max_examples=500, deadline=None)
@given(REQUESTS, declared())
def test_the_signals_of_a_request_leave_what_the_reference_leaves(document: dict[str, Any], us: Consent) -> None:
    assert_decided_alike(document, us)


def test_a_string_longer_than_anybody_writes_is_not_read() -> None:
    us = Consent(vendor_id=VENDOR, consent_purposes=(2,), interest_purposes=())
    rules = [Restriction(3, 0, [(n, n) for n in range(1, 2_600)])]
    assert len(agreed(VENDOR, restrictions=rules)) < 8_192
    assert grant_of(agreed(VENDOR, restrictions=rules).encode(), us) is not None
    assert grant_of(agreed(VENDOR, restrictions=rules * 2).encode(), us) is None
    assert sections_of(b"DBAA" + b"A" * 8_190, range(63)) is None


def test_a_gpp_header_reads_as_the_standard_shows_it() -> None:
    assert gpp_string({2: "x"}).partition("~")[0] == "DBABMA"
    assert gpp_string({2: "x", 6: "y"}).partition("~")[0] == "DBACNYA"
    assert gpp_string({5: "x", 6: "y"}).partition("~")[0] == "DBABjw"
    assert base64url("") == ""
