"""A feature that is off: each request is decided on as the same request is that has nothing of it to offer."""

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.explain.account import explain
from bidder.features import NAMES, Feature, mask_of
from bidder.outcome import Reason
from tests.explained import stage_of
from tests.property.test_auction_reference import bodies, named, requests
from tests.property.test_explain import check_decision
from tests.worlds import Answer, World

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds")


def without(body: dict[str, Any], off: Feature) -> dict[str, Any]:
    """The request as somebody writes it who knows nothing of these features."""
    body = copy.deepcopy(body)
    if off & Feature.SEGMENTS:
        body.get("user", {}).pop("data", None)
    for one in body["imp"]:
        for feature, medium in ((Feature.VIDEO, "video"), (Feature.AUDIO, "audio"), (Feature.NATIVE, "native")):
            if off & feature:
                one.pop(medium, None)
        for medium in ("video", "audio"):
            player = one.get(medium) or {}
            if off & Feature.PODS and (player.get("podid") is not None or player.get("poddur", 0) > 0):
                one.pop(medium)
        if off & Feature.DEALS and one.pop("pmp", {}).get("private_auction"):
            for medium in ("banner", "video", "audio", "native"):
                one.pop(medium, None)
    return body


def bids_of(answer: Answer) -> list[tuple[Any, ...]]:
    return [(bid["impid"], bid["cid"], bid["crid"], bid["price"], bid.get("dealid")) for bid in answer.bids]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(bodies, min_size=4, max_size=8),
    st.lists(requests, min_size=4, max_size=8),
    st.lists(st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), min_size=3, max_size=3),
)
def test_a_feature_off_leaves_what_a_request_without_it_gets(
    directory: Path, written: list[dict[str, Any]], asked: list[dict[str, Any]], switched: list[set[str]]
) -> None:
    campaigns = [{**body, "frequency": []} for body in named(written)]
    place = directory / str(next(NUMBERS))
    world = World(place / "off", campaigns)
    plain = World(place / "plain", campaigns)
    for names, body in itertools.product(switched, asked):
        off = Feature(mask_of(names))
        world.board.features_off = off
        account = explain(stage_of(world), "openx", world.bytes_of(body), most=None)
        answer, expected = world.ask(body), plain.ask(without(body, off))
        check_decision(account, answer)
        assert bids_of(answer) == bids_of(expected), names
        if answer.reason == Reason.FEATURE:
            assert expected.reason == Reason.FORMAT
        else:
            assert answer.reason == expected.reason
