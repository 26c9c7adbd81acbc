"""Strings that others published, with what they say of them: the standards, IAB Tech Lab's encoders, go-gpp."""

import pytest

from bidder._fast.consent import MAY
from bidder._fast.gpp import LAYOUTS, NATIONAL_BEFORE, sections_of
from bidder._fast.tcf import grant_of
from bidder.settings import Consent
from tests.consent_strings import gpp_string, us_string
from tests.reference.consent import us_fields

EVERYTHING = sum(MAY.values())
CONTEXT = MAY["bid"] | MAY["locate"] | MAY["log"]
CHILD = MAY["bid"]

# Of the TCF's own text: purposes 1 to 3, vendors 2, 6 and 8 in both lists, nothing on legitimate interest.
STANDARD = (
    "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA"
    ".IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw"
)


@pytest.mark.parametrize(("vendor", "purposes"), [(2, [1, 2, 3]), (6, [1, 2, 3]), (8, [1, 2, 3]), (5, []), (9, [])])
def test_the_standards_example_grants_what_the_standard_says(vendor: int, purposes: list[int]) -> None:
    us = Consent(vendor_id=vendor, consent_purposes=tuple(range(1, 12)), interest_purposes=())
    nothing_else = {"precise_geo": False, "forbidden": False}
    assert grant_of(STANDARD.encode(), us) == {"purposes": purposes} | nothing_else
    assert grant_of(STANDARD.partition(".")[0].encode(), us) == {"purposes": purposes} | nothing_else
    on_interest = Consent(vendor_id=vendor, consent_purposes=(), interest_purposes=(2, 7, 9))
    assert grant_of(STANDARD.encode(), on_interest) == {"purposes": []} | nothing_else


@pytest.mark.parametrize(
    "text",
    [
        "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",  # of the GPP's text: nobody agreed to anything
        "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA.IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA",
    ],
)
def test_published_strings_that_grant_nothing_are_read_to_their_end(text: str) -> None:
    granted = grant_of(text.encode(), Consent(vendor_id=12, precise_geo=False))
    assert granted == {"purposes": [], "precise_geo": False, "forbidden": False}


@pytest.mark.parametrize(
    "text",
    [
        "BOVeoB_OVeoFxC-AHAFRBtAAAAAhGAEAD4AXAA2YCEQ",  # version 1.1, which nobody may use since 2020
        "CO-X2XiO_eyUoAsAxBFRBECsA",
        "0101",
        "consent-string",
        "dummy",
        STANDARD + "=",
        "",
    ],
)
def test_what_is_no_tc_string_of_version_2_grants_nothing(text: str) -> None:
    assert grant_of(text.encode(), Consent(vendor_id=6)) is None


TCF = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (f"DBABMA~{TCF}", [2]),
        (f"DBACNYA~{TCF}~1YNN", [2, 6]),
        (f"DBABjw~{TCF}~1YNN", [5, 6]),
        ("DBABBgA~xlgWEYCZAA", [8]),
        ("DBABRgA~bSFgmiU", [9]),
        ("DBAA", []),
    ],
)
def test_published_gpp_strings_have_the_sections_that_their_headers_name(text: str, ids: list[int]) -> None:
    found = sections_of(text.encode(), [])
    assert found == (ids, EVERYTHING)


@pytest.mark.parametrize(
    "text",
    [
        "header~1YNN",
        "gppString",
        "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
        f"DBABMA~{TCF}~1YNN",
        "DBACNYA~1YNN",
        "DBABMA~",
        "DBABMA",
        "DCABMA~x",
        "",
    ],
)
def test_a_gpp_string_that_does_not_hold_what_its_header_says_is_damaged(text: str) -> None:
    assert sections_of(text.encode(), range(63)) is None


@pytest.mark.parametrize(
    ("section", "text", "left"),
    [
        # Nothing is opted out of and no notice applies; then all of it, with a child.
        (7, "BAAAAAAAAQA.QA", EVERYTHING),
        (7, "BVVVkkkklWA.YA", CHILD),
        (8, "BAAAAABA.QA", EVERYTHING),
        (8, "BAAAAABA", EVERYTHING),
        (8, "BVWSSSVY.YA", CHILD),
        (15, "BAAAAAABAA.QA", EVERYTHING),
        (15, "BVWSSRpFYA.YA", CHILD),
        (18, "BAAAAAQA.QA", EVERYTHING),
        (18, "BVVkklWA.YA", CHILD),
        (24, "BQAA.QA", EVERYTHING),
        (24, "BVVU.YA", CONTEXT),
        (27, "bBAA.AQAA", EVERYTHING),
        (27, "bBABYA.BVVV.kkk", CHILD),
        # GPC alone.
        (8, "BAAAAABA.YA", CONTEXT),
        # Of a version that nobody has published, and no section at all.
        (8, "xlgWEYCZAA", CONTEXT),
        (9, "bSFgmiU", CONTEXT),
        (7, "DSJgmkoZJSY", CONTEXT),
        (7, "z", CONTEXT),
        (8, "BAAAAAB", CONTEXT),
    ],
)
def test_published_us_sections_leave_what_their_answers_leave(section: int, text: str, left: int) -> None:
    assert sections_of(gpp_string({section: text}).encode(), [section]) == ([section], left)
    assert sections_of(gpp_string({section: text}).encode(), []) == ([section], EVERYTHING)


@pytest.mark.parametrize("section", LAYOUTS)
def test_every_answer_of_every_us_section_is_known_by_its_place(section: int) -> None:
    kinds = {
        "n": "notice", "v": "sensitive notice", "o": "opt-out", "s": "sensitive", "c": "child", "M": "mode",
        "m": "service provider",
    }  # fmt: skip
    wanted = [name if name in kinds.values() else "." for name in us_fields(section)]
    assert [kinds.get(letter, ".") for letter in LAYOUTS[section]] == wanted
    if section == 7:
        wanted = [name if name in kinds.values() else "." for name in us_fields(7, wide=False)]
        assert [kinds.get(letter, ".") for letter in NATIONAL_BEFORE] == wanted


@pytest.mark.parametrize("section", LAYOUTS)
@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ({}, EVERYTHING),
        ({"opt-out": 1}, CONTEXT),
        ({"notice": 2}, CONTEXT),
        ({"sensitive": 1}, EVERYTHING - MAY["pinpoint"] - MAY["personalise"]),
        ({"child": 2}, CHILD),
        ({"service provider": 1, "mode": 2}, CONTEXT),
        ({"opt-out": 3}, CONTEXT),
    ],
)
def test_every_us_section_knows_opt_outs_notices_and_children(section: int, answers: dict[str, int], left: int) -> None:
    asked = {name: answer for name, answer in answers.items() if name in us_fields(section)}
    text = gpp_string({section: us_string(section, answers)})
    assert sections_of(text.encode(), [section]) == ([section], left if asked or not answers else EVERYTHING)
