"""The rules that VAST documents are held against object to what the schemas do not allow."""

import pytest

from tests.reference.vast_rules import RULES, faults

MEDIA = '<MediaFile delivery="progressive" type="video/mp4" width="1" height="1">https://x/a.mp4</MediaFile>'
OLD = (
    '<VAST version="3.0"><Ad id="a"><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle><Impression>https://x/i'
    "</Impression><Creatives><Creative><Linear><Duration>00:00:15</Duration><MediaFiles>"
    f"{MEDIA}</MediaFiles></Linear></Creative></Creatives></InLine></Ad></VAST>"
)
NEW = (
    '<VAST version="4.2"><Ad id="a"><InLine><AdSystem>s</AdSystem><Impression>https://x/i</Impression><AdServingId>i'
    '</AdServingId><AdTitle>t</AdTitle><Creatives><Creative><UniversalAdId idRegistry="r">u</UniversalAdId><Linear>'
    f"<Duration>00:00:15</Duration><MediaFiles>{MEDIA}</MediaFiles></Linear></Creative></Creatives></InLine></Ad></VAST>"
)


@pytest.mark.parametrize("good", [OLD, OLD.replace("3.0", "2.0"), NEW])
def test_a_valid_document_has_no_faults(good: str) -> None:
    assert faults(good) == []


@pytest.mark.parametrize(
    ("document", "old", "new", "fault"),
    [
        (OLD, "</VAST>", "", "no XML"),
        (OLD, "3.0", "5.0", "no VAST of a version"),
        (OLD, "3.0", "4.0", "InLine: holds"),
        (OLD, "<AdTitle>t</AdTitle>", "", "InLine: holds AdSystem Impression"),
        (OLD, "<AdSystem>s</AdSystem>", "<AdSystem/>", "AdSystem: says"),
        (OLD, "https://x/i<", "x<", "Impression: says"),
        (OLD, "00:00:15", "15", "Duration: says"),
        (OLD, "<Linear>", '<Linear skipoffset="5">', "Linear@skipoffset: '5'"),
        (OLD, ' width="1"', "", "MediaFile@width: missing"),
        (OLD, "progressive", "slow", "MediaFile@delivery: 'slow'"),
        (OLD, '<Ad id="a"', '<Ad adType="audio"', "Ad@adType: not in this version"),
        (OLD, "<Creative>", "<Creative><CompanionAds/>", "Creative: holds CompanionAds Linear"),
        (OLD, "<MediaFiles>", "<MediaFiles><Mezzanine/>", "MediaFiles: holds"),
        (OLD, "<MediaFiles>", '<TrackingEvents><Tracking event="seen">https://x</Tracking></TrackingEvents><MediaFiles>',
         "Tracking@event: 'seen'"),
        (OLD.replace("3.0", "2.0"), "<Linear>", '<Linear skipoffset="00:00:05">', "Linear@skipoffset: not in this"),
        (NEW, "4.2", "4.1", "UniversalAdId@idValue: missing"),
        (NEW, "<AdServingId>i</AdServingId>", "", "InLine: holds"),
        (NEW, '<UniversalAdId idRegistry="r">u</UniversalAdId>', "", "Creative: holds Linear"),
        (NEW, "<Creatives>", "<Category>c</Category><Creatives>", "Category@authority: missing"),
        (NEW, "</Duration>", "</Duration><VideoClicks/>", "Linear: holds"),
    ],
)  # fmt: skip
def test_what_a_schema_does_not_allow_is_named(document: str, old: str, new: str, fault: str) -> None:
    assert old in document
    found = faults(document.replace(old, new, 1))
    assert any(one.startswith(fault) for one in found), found


def test_there_are_rules_for_five_versions() -> None:
    assert list(RULES) == ["2.0", "3.0", "4.0", "4.1", "4.2"]
