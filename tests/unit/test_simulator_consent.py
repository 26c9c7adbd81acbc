"""The consent strings of synthetic traffic are TC strings, of which most grant everything and some a part."""

import random

from bidder._fast.tcf import grant_of
from bidder.settings import Consent
from bidder.simulator.consent import VENDORS, tc_string
from tests.reference.consent import granted


def test_most_people_agree_to_everything_and_some_to_a_part() -> None:
    dice, us = random.Random(7), Consent(vendor_id=755)
    strings = [tc_string(dice) for _ in range(400)]
    assert len(set(strings)) == 400
    found = [grant_of(text.encode(), us) for text in strings]
    assert all(each is not None for each in found)
    everything = sum(each is not None and each["purposes"] == [1, 2, 3, 4, 7, 9, 10] for each in found)
    assert 280 < everything < 360
    assert all(60 < len(text) < 130 for text in strings)


def test_every_vendor_of_the_list_is_granted_what_the_reference_reads() -> None:
    dice = random.Random(8)
    for vendor in (1, 2, VENDORS, VENDORS + 1):
        us, text = Consent(vendor_id=vendor), tc_string(dice)
        seen = grant_of(text.encode(), us)
        assert seen is not None
        assert set(seen["purposes"]) == granted(text, us).purposes
