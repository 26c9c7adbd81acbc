"""Behind the requests: who is asked for, what is learned, and that nobody waits."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.acquaintances import Acquaintances
from bidder._fast.frequency import PERIOD_S, FrequencyTable
from bidder._fast.identity import Identity
from bidder._fast.segments import SegmentTable
from bidder.outcome import Reason
from bidder.settings import Users
from bidder.users.keeper import UserKeeper
from bidder.users.people import OF_IFA
from bidder.users.profile import Profile
from bidder.users.store import UserStore
from tests.users import a_store
from tests.worlds import NOW_S, World, campaign, request, user_keys

DAY_S = 86_400
ONCE = [{"impressions": 1, "per_s": DAY_S, "level": "campaign"}]


class Known:
    """A world whose bidder asks a store, and the keeper that answers it."""

    def __init__(self, directory: Path, store: UserStore, campaigns: list[dict[str, Any]], touch: int = 1) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.table = FrequencyTable(directory / "frequency", 4096, now_s=NOW_S, keys=user_keys)
        self.segments = SegmentTable(directory / "segments", 1024)
        self.now_s = NOW_S
        self.world = World(directory, campaigns, first_touch=touch, segments=self.segments)
        self.store = store
        self.keeper = UserKeeper(self.table, self.segments, store, Users(), wall=lambda: self.now_s)

    def at(self, now_s: int) -> None:
        self.now_s = now_s
        self.world.clock.wall = now_s * 1_000_000_000
        self.table.rotate(now_s)

    def digest(self, ifa: str, period: int | None = None) -> int:
        return Identity(user_keys(self.now_s // PERIOD_S if period is None else period)).digest(OF_IFA, 0, ifa.encode())

    def window(self, ifa: str, key: int, per_s: int = DAY_S) -> int:
        return Identity(user_keys(self.now_s // PERIOD_S)).key(self.digest(ifa), key, per_s)

    def keep(self, digest: int, profile: Profile) -> None:
        def put(there: Profile) -> bool:
            there.windows, there.segments, there.links = profile.windows, profile.segments, profile.links
            return True

        assert asyncio.run(self.store.change(digest, self.now_s, put)) is not None

    def turn(self) -> bool:
        return asyncio.run(self.keeper.turn())

    def served(self, ifa: str, **changes: Any) -> list[str]:
        return [bid["cid"] for bid in self.world.ask(request(device={"ifa": ifa}, **changes)).bids]


@pytest.fixture
def store(memcached: str) -> Iterator[UserStore]:
    found = a_store(memcached)
    yield found
    found.close()


def test_what_another_host_has_shown_is_known_after_the_first_request(tmp_path: Path, store: UserStore) -> None:
    known = Known(tmp_path, store, [campaign("capped", "3", frequency=ONCE)])
    window = known.window("elsewhere-1", known.world.keys["capped"])
    known.keep(known.digest("elsewhere-1"), Profile(windows={window: (NOW_S + 500, 1)}))
    assert known.served("elsewhere-1") == ["capped"]  # first touch: nothing is known, and the setting says bid
    assert known.turn()
    assert known.table.counted(window, NOW_S) == 2
    assert known.served("elsewhere-1") == []
    assert known.keeper.counts == {"asked": 1, "found": 1}


def test_no_bid_on_first_touch_says_so_until_the_store_has_answered_even_with_nothing(
    tmp_path: Path, store: UserStore
) -> None:
    known = Known(tmp_path, store, [campaign("capped", "3", frequency=ONCE)], touch=2)
    answer = known.world.ask(request(device={"ifa": "new-1"}))
    assert (answer.status, answer.reason) == (204, Reason.USER)
    assert known.turn()
    assert known.served("new-1") == ["capped"]


def test_campaigns_without_caps_or_own_segments_ask_for_nobody(tmp_path: Path, store: UserStore) -> None:
    known = Known(tmp_path, store, [campaign("open", "3", targeting={"segment": {"any": ["x", "y"]}}), campaign()], 2)
    assert known.served("somebody", user={"data": [{"segment": [{"id": "x"}]}]}) == ["open"]
    assert not known.turn()


def test_a_user_is_asked_for_once_on_a_host_until_what_is_known_is_old(tmp_path: Path, store: UserStore) -> None:
    known = Known(tmp_path, store, [campaign("capped", "3", frequency=ONCE)])
    asking = Acquaintances(known.table)
    for _ in range(3):
        known.served("often")
    assert asking.take() == [(known.digest("often"), known.digest("often", NOW_S // PERIOD_S - 1))]
    known.at(NOW_S + 2)  # nobody answered
    known.served("often")
    assert known.turn()
    known.at(NOW_S + 33)
    known.served("often")
    assert asking.knows(known.digest("often"), NOW_S + 33)
    assert known.turn()
    assert not known.turn()


def test_a_store_that_does_not_answer_leaves_the_setting_of_first_touch(tmp_path: Path) -> None:
    dead = a_store("127.0.0.1:1")
    for touch, served in ((1, ["capped"]), (2, [])):
        known = Known(tmp_path / str(touch), dead, [campaign("capped", "3", frequency=ONCE)], touch)
        assert known.served("u") == served
        assert not known.turn()
    dead.close()


def test_the_ring_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    table = FrequencyTable(tmp_path / "frequency", 65_536, now_s=NOW_S)
    asking = Acquaintances(table)
    for digest in range(1, 1_501):
        assert not asking.meet(digest, digest + 1, NOW_S)
    assert asking.take(2) == [(477, 478), (478, 479)]
    assert table.statistics["dropped"] == 476
    assert len(asking.take()) == 1_022
    assert asking.take() == []


def test_own_segments_are_targeted_and_raise_the_bid_once_the_user_is_known(tmp_path: Path, store: UserStore) -> None:
    visited = campaign("visited", "9", targeting={"segment": {"any": ["s-shoes"]}})
    dearer = campaign("dearer", "2", multipliers=[{"when": {"segment": ["s-hats"]}, "factor": "3"}])
    known = Known(tmp_path, store, [visited, dearer])
    known.keep(known.digest("seg-a"), Profile(segments={"s-shoes": NOW_S + 100, "s-hats": NOW_S + 50}))
    assert known.served("seg-a") == ["dearer"]
    assert known.turn()
    assert known.served("seg-a") == ["visited"]
    known.world.switch_off("visited")
    (bid,) = known.world.ask(request(device={"ifa": "seg-a"})).bids
    assert (bid["cid"], bid["price"]) == ("dearer", 6)
    known.at(NOW_S + 50)
    (bid,) = known.world.ask(request(device={"ifa": "seg-a"})).bids
    assert bid["price"] == 2


def test_own_segments_join_those_of_the_request(tmp_path: Path, store: UserStore) -> None:
    both = campaign("both", "9", targeting={"segment": {"all": ["s-shoes", "theirs"], "none": ["s-out"]}})
    known = Known(tmp_path, store, [both])
    known.keep(known.digest("seg-b"), Profile(segments={"s-shoes": NOW_S + 100}))
    user = {"data": [{"segment": [{"id": "theirs"}]}], "buyeruid": "z"}
    assert known.served("seg-b", user=user) == []
    known.turn()
    assert known.served("seg-b", user=user, site={"cat": ["IAB1"]}) == ["both"]
    assert known.served("seg-b") == []


def test_who_may_not_be_known_is_not_looked_up(tmp_path: Path, store: UserStore) -> None:
    known = Known(tmp_path, store, [campaign("visited", "9", targeting={"segment": {"any": ["s-shoes"]}})])
    known.keep(known.digest("seg-c"), Profile(segments={"s-shoes": NOW_S + 100}))
    for regs in ({"coppa": 1}, {"us_privacy": "1YYN"}, {"gdpr": 1}):
        assert known.served("seg-c", regs=regs) == []
    assert not known.turn()


def test_segments_and_windows_of_the_period_before_are_carried_over(tmp_path: Path, store: UserStore) -> None:
    twice = [{"impressions": 2, "per_s": 7 * DAY_S, "level": "campaign"}]
    visited = campaign("visited", "9", frequency=twice, targeting={"segment": {"any": ["s-shoes"]}})
    known = Known(tmp_path, store, [visited])
    begins_s = (NOW_S // PERIOD_S + 1) * PERIOD_S
    known.at(begins_s - 100)
    window = known.window("seg-d", known.world.keys["visited"], 7 * DAY_S)
    known.keep(
        known.digest("seg-d"),
        Profile(windows={window: (begins_s + 100, 1)}, segments={"s-shoes": begins_s + 10 * DAY_S}),
    )
    known.at(begins_s)
    assert known.served("seg-d") == []
    assert known.turn()
    assert [known.served("seg-d") for _ in range(2)] == [["visited"], []]
    found = asyncio.run(store.fetch([known.digest("seg-d")]))
    assert found is not None
    assert found[known.digest("seg-d")].segments == {"s-shoes": begins_s + 10 * DAY_S}


def test_a_table_of_segments_keeps_sixteen_of_a_user_and_those_who_end_last(tmp_path: Path) -> None:
    table = SegmentTable(tmp_path / "segments", 4)
    table.put(8, {f"s-{n:02}": NOW_S + n for n in range(1, 20)}, NOW_S)
    assert table.names(8, NOW_S) == [f"s-{n:02}" for n in range(19, 3, -1)]
    assert table.names(8, NOW_S + 18) == ["s-19"]
    for n, digest in enumerate((16, 24, 32, 40)):
        table.put(digest, {"s-a": NOW_S + 100 + n}, NOW_S)
    assert [table.names(d, NOW_S) for d in (8, 16, 24, 32, 40)] == [[], ["s-a"], ["s-a"], ["s-a"], ["s-a"]]
    table.put(16, {}, NOW_S)
    assert table.names(16, NOW_S) == []
    assert SegmentTable(tmp_path / "segments", 4).names(24, NOW_S) == ["s-a"]
    assert SegmentTable(tmp_path / "segments", 8).names(24, NOW_S) == []
