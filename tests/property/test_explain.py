"""An explanation says what the decision does: the same reasons, the same winners, and nothing is taken for it."""

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.explain.account import Account, explain, nearness
from bidder.explain.stage import Stage
from bidder.outcome import Reason
from tests.explained import BROAD, stage_of
from tests.property.test_auction_reference import NOW, bodies, creative_of, named, purses, requests
from tests.reference import auction as reference
from tests.reference import formats
from tests.worlds import ALWAYS, EXCHANGES, Answer, World

NO_RATES = {"USD": Fraction(1)}

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(bodies, purses), min_size=4, max_size=10), st.lists(requests, min_size=4, max_size=8))
def test_an_explanation_agrees_with_the_decision(
    directory: Path, written: list[tuple[dict[str, Any], reference.Purse]], asked: list[dict[str, Any]]
) -> None:
    campaigns = named([body for body, _ in written])
    held = {body["id"]: purse for body, (_, purse) in zip(campaigns, written, strict=True)}
    world = World(directory / str(next(NUMBERS)), campaigns)
    for name, purse in held.items():
        world.fund(name, purse.left)
        world.pace(name, 0 if purse.throttled else ALWAYS, purse.multiplier)
        world.purses.set_off(world.purses.slot_of(world.keys[name]), purse.off)
    for request in asked:
        before = {name: world.left(name) for name in held}
        stage, body = stage_of(world), world.bytes_of(request)
        account = explain(stage, "openx", body, most=None)
        assert {name: world.left(name) for name in held} == before, "an explanation takes nothing"
        for purse_name, left in before.items():
            held[purse_name].left = left
        check_campaigns(account, campaigns, held, request)
        check_decision(account, world.ask(body))


def check_campaigns(
    account: Account, campaigns: list[dict[str, Any]], held: dict[str, reference.Purse], request: dict[str, Any]
) -> None:
    """Every campaign at every imp is told about, with the reason that the slow auction gives it."""
    place, pods = reference.Place("openx", EXCHANGES["openx"].seat, NOW, NO_RATES), formats.Pods()
    gate = reference.gate(request, place.seat, NO_RATES)
    assert (account.imps == []) == (gate is not Reason.NONE)
    if gate is not Reason.NONE:
        assert account.reason is gate
        assert account.predicate
        return
    for told, imp in zip(account.imps, request["imp"], strict=True):
        barred = reference.imp_reason(request, imp)
        if barred is not Reason.NONE:
            assert (told.reason, told.wins, told.verdicts) == (barred, [], [])
            assert told.predicate
            continue
        assert {one.campaign for one in told.verdicts} == {body["id"] for body in campaigns}
        assert len(told.verdicts) == len(campaigns) == told.may_bid + sum(n for _, _, n in told.tally)
        falls = [one for one in told.verdicts if one.outcome == "falls"]
        assert all(one.predicate.split(":")[0] and ": " in one.predicate for one in falls)
        for one in told.verdicts:
            (body,) = [body for body in campaigns if body["id"] == one.campaign]
            lost = reference.lost_to(body, request, imp)
            found: Any = lost
            if lost is Reason.NONE:
                found = reference.offer(body, held[body["id"]], request, imp, place, pods)
            assert one.reason is (found if isinstance(found, Reason) else Reason.NONE), (one, imp)
        if not told.wins:
            assert told.reason is max((one.reason for one in falls), key=nearness)
            assert falls[0].reason is told.reason, "the closest one stands first"
        for win in told.wins:
            pods.place(imp, creative_of({"cid": win.campaign, "crid": win.creative}, campaigns))
            if not request.get("test"):
                held[win.campaign].left -= next(one.price or 0 for one in told.verdicts if one.campaign == win.campaign)


def check_decision(account: Account, answer: Answer) -> None:
    bids = [(bid["impid"], bid["cid"], bid["crid"], bid["price"], bid.get("dealid")) for bid in answer.bids]
    told = [
        (imp.id, win.campaign, win.creative, float(win.price_cpm), win.deal) for imp in account.imps for win in imp.wins
    ]
    assert told == bids
    wins = [one.campaign for imp in account.imps for one in imp.verdicts if one.outcome == "wins"]
    assert sorted(wins) == sorted(win.campaign for imp in account.imps for win in imp.wins)
    if answer.rows:
        assert (answer.reason or Reason.NONE) == account.reason


def test_every_request_of_the_corpus_is_explained_as_it_is_decided(directory: Path, corpus: list[bytes]) -> None:
    world = World(directory / "corpus", BROAD)
    for body in BROAD:
        world.fund(body["id"], 10**15)
    for line in corpus[::5]:
        account = explain(stage_of(world), "openx", line, most=None)
        check_decision(account, world.ask(line))
        for imp in account.imps:
            assert imp.predicate or len(imp.verdicts) == len(BROAD)
            assert all(one.predicate for one in imp.verdicts if one.outcome == "falls")


def test_an_explainer_of_shared_purses_is_refused(directory: Path) -> None:
    world = World(directory / "shared", [])
    stage: Stage = stage_of(world)
    with pytest.raises(ValueError, match="private"):
        type(stage.explainer)(
            purses=world.purses,
            frequency=world.frequency,
            board=world.board,
            counters=None,
            sealer=None,  # type: ignore
            bid_ids=None,
            clock=world.clock,
            exchanges=EXCHANGES,
            seed=1,  # type: ignore
        )
