"""Caps against a dictionary: whoever asks, whenever, at whichever worker, the same campaign bids."""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder._fast.frequency import PERIOD_S, FrequencyTable
from bidder.money.tokens import BidIds
from tests.reference import holds
from tests.worlds import NOW_S, World, banner, campaign, request

Rule = dict[str, Any]
LENGTHS = [1, 30, 3_600, 86_400, PERIOD_S]

rules = st.lists(
    st.fixed_dictionaries(
        {
            "impressions": st.integers(1, 4),
            "per_s": st.sampled_from(LENGTHS),
            "level": st.sampled_from(["campaign", "creative"]),
        }
    ),
    max_size=3,
)
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 29, 30, 3_600, 86_399, PERIOD_S // 2, PERIOD_S]),
        st.sampled_from(["ann", "bob", None]),
        st.sampled_from([0, 0, 0, 1]),
        st.integers(0, 1),
    ),
    min_size=10,
    max_size=40,
)


@dataclass
class Windows:
    """The slow, obvious truth: when each user's window under each rule ends, and how often it was counted."""

    ends: dict[tuple[Any, ...], int] = field(default_factory=dict)
    counts: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def allows(self, user: str | None, subject: str, rule: Rule, now_s: int) -> bool:
        key = (user, subject, rule["per_s"])
        return user is not None and (self.ends.get(key, 0) <= now_s or self.counts[key] < rule["impressions"])

    def count(self, user: str | None, subject: str, per_s: int, now_s: int) -> None:
        key = (user, subject, per_s)
        if self.ends.get(key, 0) <= now_s:
            self.ends[key], self.counts[key] = now_s + per_s, 0
        self.counts[key] += 1


def subjects(body: dict[str, Any], crid: str) -> dict[str, str]:
    return {"campaign": body["id"], "creative": f"{body['id']}/{crid}"}


def may_serve(windows: Windows, body: dict[str, Any], user: str | None, now_s: int) -> set[str]:
    """Creatives with which this campaign may bid."""
    return {
        creative["id"]
        for creative in body["creatives"]
        if all(
            windows.allows(user, subjects(body, creative["id"])[rule["level"]], rule, now_s)
            for rule in body["frequency"]
        )
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("capped")


NUMBERS = itertools.count()


@settings(max_examples=60, deadline=None)
@given(st.lists(rules, min_size=2, max_size=3), steps)
def test_the_dearest_campaign_whose_caps_allow_it_bids(
    directory: Path, caps: list[list[Rule]], asked: list[tuple[int, str | None, int, int]]
) -> None:
    creatives = [banner(id="cr-1"), banner(id="cr-2")]
    campaigns = [
        campaign(f"c-{n}", str(9 - n), frequency=frequency, creatives=creatives[: 1 + n % 2])
        for n, frequency in enumerate(caps)
    ]
    world = World(directory / str(next(NUMBERS)), campaigns)
    assert world.book is not None
    workers = [world.decider, world.worker(1, 2, BidIds())]
    workers[1].set_book(world.book)
    windows, now_s = Windows(), NOW_S
    for later_s, user, test, worker in asked:
        now_s += later_s
        world.clock.wall = now_s * 1_000_000_000
        world.frequency.rotate(now_s)
        body = request(device={} if user is None else {"ifa": user}, test=test)
        status, answered = workers[worker].answer(b"openx", json.dumps(body).encode())
        expected = next(((c, found) for c in campaigns if (found := may_serve(windows, c, user, now_s))), None)
        assert (status == 200) == (expected is not None)
        if expected is None:
            continue
        bidder, allowed = expected
        (bid,) = json.loads(answered)["seatbid"][0]["bid"]
        assert bid["cid"] == bidder["id"]
        assert bid["crid"] in allowed
        if not test:
            kinds = {(rule["level"], rule["per_s"]) for rule in bidder["frequency"]}
            for level, per_s in kinds:
                windows.count(user, subjects(bidder, bid["crid"])[level], per_s, now_s)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40), st.integers(1, 3)), max_size=120))
def test_a_small_table_is_exact_until_it_forgets(directory: Path, asked: list[tuple[int, int, int]]) -> None:
    table = FrequencyTable(directory / f"{next(NUMBERS)}.table", 16)
    windows, now_s = Windows(), NOW_S
    for key, later_s, impressions in asked:
        now_s += later_s
        per_s = (1, 10, 60)[key % 3]
        rule = {"impressions": impressions, "per_s": per_s}
        allowed = windows.allows("ann", str(key), rule, now_s)
        counted = table.count(key, now_s, per_s, impressions)
        if table.forgotten:
            break
        assert counted == allowed
        if allowed:
            windows.count("ann", str(key), per_s, now_s)
        assert table.counted(key, now_s) == windows.counts["ann", str(key), per_s]


bids = st.tuples(st.just("bid"), st.integers(1, 3), st.sampled_from([10, 60]))
fates = st.tuples(st.sampled_from(["shown", "lost"]), st.integers(0, 60), st.just(0))
waits = st.tuples(st.just("wait"), st.sampled_from([1, 5, 9, 10, 11, 30, 59, 60, 61, 100, 181]), st.just(0))
LONGEST = 3 * 6  # of hold times, where one of 10 s lies beside one of 60


@settings(max_examples=400, deadline=None)
@given(st.integers(1, 4), st.sampled_from([30, 200, 1_000]), st.lists(st.one_of(bids, fates, waits), max_size=60))
def test_a_window_never_counts_more_than_its_cap_and_gives_every_hold_back_in_time(
    directory: Path, most: int, per_s: int, asked: list[tuple[str, int, int]]
) -> None:
    table = FrequencyTable(directory / f"{next(NUMBERS)}.table", 64)
    windows, now_s = holds.Windows(LONGEST), NOW_S
    open_bids: list[tuple[int, int, int]] = []
    for what, n, hold_s in asked:
        if what == "wait":
            now_s += n
        elif what == "bid":
            least, upper = windows.least(n, now_s), windows.most(n, now_s)
            counted = table.count(n, now_s, per_s, most, hold_s)
            if least >= most:
                assert not counted
            if upper < most:
                assert counted
            if counted:
                windows.bid(n, now_s, per_s, hold_s)
                open_bids.append((n, now_s, hold_s))
        elif open_bids:
            key, bid_s, held_s = open_bids.pop(n % len(open_bids))
            if what == "lost":
                told = table.lost(key, bid_s, now_s, per_s, held_s)
                assert told == windows.lost(key, bid_s, now_s, held_s)
            else:
                assert table.shown(key, bid_s, now_s, per_s, held_s) == windows.shown(key, bid_s, now_s, per_s, held_s)
        for key in (1, 2, 3):
            assert windows.least(key, now_s) <= table.counted(key, now_s) <= windows.most(key, now_s)
