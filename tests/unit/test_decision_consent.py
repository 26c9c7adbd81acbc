"""What consent does to a decision: a bid as usual, a bid without a person, or none and its reason."""

from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from bidder.settings import Consent
from tests.consent_strings import Restriction, agreed
from tests.worlds import World, campaign, request

US = Consent(vendor_id=30)
ONCE = [{"impressions": 1, "per_s": 3_600, "level": "campaign"}]


def person(consent: str | None, **regs: Any) -> dict[str, Any]:
    user = {"id": "u-1", "gender": "F"} | ({} if consent is None else {"consent": consent})
    return request(user=user, regs={"gdpr": 1} | regs)


def test_a_person_who_agreed_is_known_again(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(frequency=ONCE)], consent=US)
    assert world.ask(person(agreed(30))).bids
    assert world.ask(person(agreed(30))).reason == Reason.FREQUENCY


def test_a_person_who_agreed_is_seen_by_targeting_and_nobody_else_is(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(targeting={"gender": {"include": ["F"]}})], consent=US)
    assert world.ask(person(agreed(30))).bids
    for consent in (None, agreed(31), agreed(30, consent=(1,)), agreed(30)[:40]):
        assert world.ask(person(consent)).reason == Reason.TARGETING
    assert world.ask(person(agreed(30), coppa=1)).reason == Reason.TARGETING


@pytest.mark.parametrize("consent", [None, "damaged", agreed(31)])
def test_without_consent_there_is_a_bid_without_a_person(tmp_path: Path, consent: str | None) -> None:
    world = World(tmp_path, [campaign()], consent=US)
    assert world.ask(person(consent)).bids


def test_a_publisher_who_forbids_us_to_choose_gets_no_bid_and_the_reason_is_counted(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()], consent=US)
    refused = world.ask(person(agreed(30, restrictions=[Restriction(2, 0, [(30, 30)])])))
    assert (refused.status, refused.reason) == (204, Reason.CONSENT)


def test_who_bids_on_nothing_less_than_a_legal_basis_does_not_bid_without_one(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()], consent=Consent(vendor_id=30, contextual=False))
    assert world.ask(person(None)).reason == Reason.CONSENT
    assert world.ask(person(agreed(30))).bids
    assert world.ask(request()).bids
