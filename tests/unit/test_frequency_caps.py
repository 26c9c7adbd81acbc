"""Caps in the decision: who is counted, when, under which rule, and who bids then."""

import multiprocessing
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.decision import Decider
from bidder._fast.frequency import PERIOD_S
from bidder.money.tokens import BidIds
from bidder.outcome import Reason
from tests.worlds import NOW_S, World, banner, campaign, imp, request

FORK = multiprocessing.get_context("fork")
DAY_S = 86_400
IFA = "6D92078A-8246-4BA4-AE5B-76104861E7DC"
NO_IFA = "00000000-0000-0000-0000-000000000000"


def cap(impressions: int, per_s: int = DAY_S, level: str = "campaign") -> dict[str, Any]:
    return {"impressions": impressions, "per_s": per_s, "level": level}


def capped(*rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return campaign("capped", "3", frequency=list(rules), **changes)


def user(ifa: str = "user-1", **changes: Any) -> dict[str, Any]:
    return request(device={"ifa": ifa}, **changes)


def at(world: World, second: int) -> None:
    world.clock.wall = second * 1_000_000_000


def served(world: World, body: dict[str, Any], exchange: str = "openx") -> list[str]:
    """Campaigns that bid on it."""
    return [bid["cid"] for bid in world.ask(body, exchange).bids]


def test_a_capped_campaign_makes_room_for_the_next_when_its_cap_is_reached(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(2)), campaign("open", "1")])
    assert [served(world, user()) for _ in range(4)] == [["capped"], ["capped"], ["open"], ["open"]]


def test_the_reason_is_frequency_when_nobody_else_would_bid(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1))])
    assert world.ask(user()).status == 200
    left = world.left("capped")
    answer = world.ask(user())
    assert (answer.status, answer.reason) == (204, Reason.FREQUENCY)
    assert world.left("capped") == left


def test_another_user_is_not_affected(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1))])
    assert served(world, user("a")) == ["capped"]
    assert served(world, user("b")) == ["capped"]
    assert served(world, user("a")) == served(world, user("b")) == []


def test_the_campaign_bids_again_when_the_window_is_over(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1, per_s=60))])
    expected = {0: True, 1: False, 59: False, 60: True, 61: False, 119: False, 120: True}
    for second, bids in expected.items():
        at(world, NOW_S + second)
        assert bool(served(world, user())) == bids, second


def test_every_rule_must_allow_the_bid(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(2, per_s=600), cap(1, per_s=60))])
    expected = [(0, True), (30, False), (60, True), (120, False), (599, False), (600, True)]
    for second, bids in expected:
        at(world, NOW_S + second)
        assert bool(served(world, user())) == bids, second


def test_rules_of_the_same_window_are_counted_once_and_the_strictest_holds(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(5), cap(2), cap(2))])
    assert [bool(served(world, user())) for _ in range(3)] == [True, True, False]


def test_two_workers_share_the_counts(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(2))])
    assert world.book is not None
    other = world.worker(1, 2, BidIds())
    other.set_book(world.book)
    body = b'{"id":"r","imp":[{"id":"1","banner":{"w":320,"h":50}}],"device":{"ifa":"user-1"}}'
    assert other.answer(b"openx", body)[0] == 200
    assert served(world, user()) == ["capped"]
    assert other.answer(b"openx", body)[0] == 204
    assert served(world, user()) == []


def test_at_the_level_of_creatives_each_has_a_count_of_its_own(tmp_path: Path) -> None:
    two = [banner(id="cr-1"), banner(id="cr-2")]
    world = World(tmp_path, [capped(cap(2, level="creative"), creatives=two)])
    bids = [world.ask(user()).bids for _ in range(5)]
    assert sorted(bid["crid"] for found in bids for bid in found) == ["cr-1", "cr-1", "cr-2", "cr-2"]
    assert world.ask(user()).reason == Reason.FREQUENCY


def test_campaigns_and_creatives_with_the_same_rule_are_counted_apart(tmp_path: Path) -> None:
    both = capped(cap(3), cap(1, level="creative"), creatives=[banner(id="cr-1"), banner(id="cr-2")])
    world = World(tmp_path, [both, campaign("second", "2", frequency=[cap(1)])])
    assert [served(world, user()) for _ in range(4)] == [["capped"], ["capped"], ["second"], []]


def test_a_creative_with_the_number_of_its_campaign_is_counted_apart_from_it(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    world.keys["capped"] = world.creatives["capped/cr-1"] = 77
    world.publish([capped(cap(3), cap(5, level="creative"))])
    world.fund("capped", 1_000_000_000)
    assert [bool(served(world, user())) for _ in range(4)] == [True, True, True, False]


def test_imps_of_one_request_count_one_after_the_other(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(2)), campaign("open", "1")])
    assert served(world, user(imps=[imp("1"), imp("2"), imp("3")])) == ["capped", "capped", "open"]


def test_a_bid_that_its_purse_refuses_is_not_counted(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1))])
    world.fund("capped", 1_000)
    assert world.ask(user()).reason == Reason.PURSE_EMPTY
    world.fund("capped", 1_000_000_000)
    assert served(world, user()) == ["capped"]


def test_a_test_request_heeds_caps_and_is_not_counted(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1))])
    assert [served(world, user(test=1)) for _ in range(3)] == [["capped"]] * 3
    assert served(world, user()) == ["capped"]
    assert served(world, user(test=1)) == []


@pytest.mark.parametrize(
    "body",
    [
        request(),
        request(device={"ifa": NO_IFA}),
        request(user={"eids": [{"source": "x.example", "uids": [{"id": "1"}]}]}),
        user(regs={"coppa": 1}),
        user(regs={"gdpr": 1}),
        user(regs={"us_privacy": "1YYN"}),
        request(device={"ifa": IFA, "lmt": 1}),
    ],
    ids=["nothing", "zeros", "eid", "coppa", "gdpr without consent", "opted out", "lmt"],
)
@pytest.mark.parametrize("level", ["campaign", "creative"])
def test_a_user_that_we_do_not_or_may_not_know_gets_no_capped_bid(
    tmp_path: Path, body: dict[str, Any], level: str
) -> None:
    world = World(tmp_path, [capped(cap(9, level=level))])
    assert world.ask(body).reason == Reason.FREQUENCY
    world.publish([campaign("capped")])
    assert served(world, body) == ["capped"]


def test_a_user_is_the_ifa_else_the_buyeruid_else_the_id(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1))])
    names = {"id": "n", "buyeruid": "n"}
    same = [
        [user("n", user=names), user("n"), user("n", user={"id": "other"})],
        [request(user=names), request(user={"buyeruid": "n"}), request(device={"ifa": NO_IFA}, user=names)],
        [request(user={"id": "n"}), request(user={"id": "n", "buyeruid": ""})],
    ]
    for bodies in same:
        assert [bool(served(world, body)) for body in bodies] == [True] + [False] * (len(bodies) - 1)


def test_an_exchange_has_user_ids_of_its_own_while_ifa_and_buyeruid_hold_everywhere(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1))])
    for body, again in (
        (request(user={"id": "n"}), ["capped"]),
        (request(user={"buyeruid": "n"}), []),
        (user("n"), []),
    ):
        assert served(world, body, "openx") == ["capped"]
        assert served(world, body, "pubmatic") == again


def test_windows_run_on_across_a_change_of_keys(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(2, per_s=7 * DAY_S))])
    begins_s = (NOW_S // PERIOD_S + 1) * PERIOD_S
    at(world, begins_s - DAY_S)
    assert served(world, user()) == ["capped"]
    at(world, begins_s)
    assert world.frequency.rotate(begins_s)
    assert [served(world, user()) for _ in range(2)] == [["capped"], []]
    at(world, begins_s + 6 * DAY_S - 1)
    assert served(world, user()) == []
    at(world, begins_s + 6 * DAY_S)
    assert [bool(served(world, user())) for _ in range(3)] == [True, True, False]


def test_a_window_longer_than_a_period_is_cut_when_its_keys_are_gone(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1, per_s=365 * DAY_S))])
    found = []
    for period in range(4):
        at(world, NOW_S + period * PERIOD_S)
        world.frequency.rotate(NOW_S + period * PERIOD_S)
        found.append(bool(served(world, user())))
    assert found == [True, False, True, False]


def test_nothing_of_the_user_is_in_the_file(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(3))])
    assert served(world, user(IFA)) == ["capped"]
    kept = (tmp_path / "frequency").read_bytes()
    for trace in (IFA.encode(), IFA.lower().encode(), bytes.fromhex(IFA.replace("-", ""))):
        assert trace not in kept


def test_an_edited_cap_goes_on_counting_and_another_length_begins_anew(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(1))])
    assert [bool(served(world, user())) for _ in range(2)] == [True, False]
    world.publish([capped(cap(2))])
    assert [bool(served(world, user())) for _ in range(2)] == [True, False]
    world.publish([capped(cap(1, per_s=60))])
    assert [bool(served(world, user())) for _ in range(2)] == [True, False]


USERS = 400
CAP = 5


def test_workers_that_race_for_the_last_bid_never_pass_the_cap_and_give_the_money_back(tmp_path: Path) -> None:
    world = World(tmp_path, [capped(cap(CAP))])
    world.fund("capped", 100_000_000_000)
    assert world.book is not None
    workers = [world.worker(row, row, BidIds()) for row in (1, 2, 3)]
    start, results = FORK.Barrier(len(workers)), FORK.SimpleQueue()
    racers = [FORK.Process(target=_bid_on_all, args=(worker, world, start, results), daemon=True) for worker in workers]
    for racer in racers:
        racer.start()
    bids = sum(results.get() for _ in racers)
    for racer in racers:
        racer.join(10)
        assert racer.exitcode == 0
    assert bids == USERS * CAP
    assert world.left("capped") == 100_000_000_000 - bids * 3_000_000


def _bid_on_all(worker: Decider, world: World, start: Barrier, results: SimpleQueue[int]) -> None:
    assert world.book is not None
    worker.set_book(world.book)
    bodies = [
        b'{"id":"r","imp":[{"id":"1","banner":{"w":320,"h":50}}],"device":{"ifa":"user-%d"}}' % n for n in range(USERS)
    ]
    start.wait(10)
    for body in bodies:  # each user until the cap is reached, so that all are at the same user's last bid together
        while worker.answer(b"openx", body)[0] == 200:
            pass
    results.put(worker.bids)
