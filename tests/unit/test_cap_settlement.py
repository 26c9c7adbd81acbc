"""Notices settle caps: what was counted at the bid is confirmed by its impression, or given back."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from bidder._fast.acquaintances import Acquaintances
from bidder._fast.segments import SegmentTable
from bidder.events.schema import CapEvent, NoticeKind
from bidder.money.tokens import Token
from bidder.settings import Settings, Users
from bidder.users.keeper import UserKeeper
from bidder.users.settle import Settlement, Told
from bidder.users.store import UserStore
from tests.users import a_store, notice_token, page_token, shared_table
from tests.worlds import NOW_S, World, banner, campaign, imp, request

HOLD_S = 300
DAY_S = 86_400
Result = TypeVar("Result")


def cap(impressions: int, per_s: int = DAY_S, level: str = "campaign") -> dict[str, Any]:
    return {"impressions": impressions, "per_s": per_s, "level": level}


class Host:
    """One host: a bidder and a tracker over the same table, and a clock that is set by hand."""

    def __init__(self, directory: Path, *rules: dict[str, Any], store: UserStore | None = None) -> None:
        self.directory, self.store = directory, store
        self.table = shared_table(directory / "host", NOW_S)
        (directory / "world").mkdir(parents=True)
        (directory / "world" / "frequency").symlink_to(directory / "host" / "shm" / "frequency")
        self.world = World(
            directory / "world",
            [campaign("capped", "3", frequency=list(rules), creatives=[banner(id="cr-1"), banner(id="cr-2")])],
            holds=(HOLD_S,) * 4,
        )
        self.now_s = NOW_S
        self.counted: list[tuple[int, CapEvent]] = []
        self.settlement = Settlement(
            directory / "host",
            Settings(users=Users(banner_hold_s=HOLD_S)),
            store,
            wall=lambda: self.now_s,
            count=lambda token, event: self.counted.append((token.campaign, event)),
        )
        self.settlement.refresh(self.world.book)

    def at(self, second: int) -> None:
        self.now_s = NOW_S + second
        self.world.clock.wall = self.now_s * 1_000_000_000

    def bid(self, ifa: str = "user-1", imps: int = 1, **changes: Any) -> list[dict[str, Any]]:
        body = request([imp(str(n)) for n in range(imps)], device={"ifa": ifa}, **changes)
        return self.world.ask(body).bids

    def tell(self, kind: NoticeKind, bid: dict[str, Any]) -> None:
        page = kind in (NoticeKind.IMPRESSION, NoticeKind.CLICK)
        self.settlement.notice(kind, (page_token if page else notice_token)(self.world, bid))


def test_a_bid_that_is_neither_shown_nor_lost_counts_for_its_time_only(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(2))
    assert [len(host.bid()) for _ in range(3)] == [1, 1, 0]
    host.at(HOLD_S - 1)
    assert not host.bid()
    host.at(3 * HOLD_S)
    assert [len(host.bid()) for _ in range(3)] == [1, 1, 0]


def test_an_impression_counts_to_the_end_of_the_window(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(2))
    first, second = host.bid() + host.bid()
    host.at(5)
    host.tell(NoticeKind.IMPRESSION, first)
    host.tell(NoticeKind.LOSS, second)
    host.at(3 * HOLD_S)
    assert [len(host.bid()) for _ in range(2)] == [1, 0]
    host.at(DAY_S)
    assert host.bid()


def test_the_bill_and_the_pixel_of_one_bid_count_once(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(2))
    (bid,) = host.bid()
    for kind in (NoticeKind.BILL, NoticeKind.IMPRESSION, NoticeKind.BILL, NoticeKind.VIEWABLE):
        host.tell(kind, bid)
    assert [len(host.bid()) for _ in range(2)] == [1, 0]
    assert (host.settlement.counts["shown"], host.settlement.counts["beyond"]) == (1, 0)


def test_a_loss_gives_back_once_and_not_after_an_impression(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(2))
    first, second = host.bid() + host.bid()
    for _ in range(3):
        host.tell(NoticeKind.LOSS, first)
    assert [len(host.bid()) for _ in range(2)] == [1, 0]
    host.tell(NoticeKind.IMPRESSION, second)
    host.tell(NoticeKind.LOSS, second)
    assert not host.bid()
    assert host.settlement.counts["given_back"] == 1


def test_a_win_or_a_click_says_nothing_of_an_impression(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(1))
    (bid,) = host.bid()
    host.tell(NoticeKind.WIN, bid)
    host.tell(NoticeKind.CLICK, bid)
    host.at(3 * HOLD_S)
    assert host.bid()


def test_an_impression_after_its_time_is_counted_beyond_the_cap_and_reported(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(1))
    (first,) = host.bid()
    host.at(HOLD_S)
    (second,) = host.bid()
    host.tell(NoticeKind.IMPRESSION, second)
    assert host.settlement.counts["beyond"] == 0
    host.tell(NoticeKind.IMPRESSION, first)
    statistics = host.settlement.statistics()
    assert (statistics["shown"], statistics["beyond"]) == (2, 1)
    capped = host.world.keys["capped"]
    assert host.counted == [(capped, CapEvent.SHOWN), (capped, CapEvent.SHOWN), (capped, CapEvent.BEYOND)]
    host.at(DAY_S - 1)
    assert not host.bid()


def test_every_rule_of_a_campaign_is_confirmed_also_that_of_the_creative(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(3), cap(2, per_s=600), cap(1, level="creative"))
    first, second = host.bid() + host.bid()
    assert {first["crid"], second["crid"]} == {"cr-1", "cr-2"}
    host.tell(NoticeKind.IMPRESSION, first)
    host.tell(NoticeKind.LOSS, second)
    host.at(600)
    (third,) = host.bid()
    assert third["crid"] == second["crid"]


def test_a_test_bid_says_nothing_of_its_user_and_settles_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(1))
    (bid,) = host.bid(test=1)
    token = page_token(host.world, bid)
    assert (token.test, token.user, token.user_stamp) == (True, 0, 0)


def test_a_bid_without_caps_says_nothing_of_its_user(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("open", "1")])
    (bid,) = world.ask(request(device={"ifa": "user-1"})).bids
    assert page_token(world, bid).user == 0


def test_a_loss_of_a_bid_from_before_what_is_remembered_gives_nothing_back(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(1))
    (bid,) = host.bid()
    host.at(120)
    late = Settlement(tmp_path / "host", Settings(), None, wall=lambda: host.now_s)  # a tracker that has begun anew
    late.refresh(host.world.book)
    late.notice(NoticeKind.LOSS, notice_token(host.world, bid))
    assert not host.bid()


def test_what_is_remembered_reaches_back_to_a_known_second() -> None:
    told = Told(100, capacity=2)
    assert told.add(b"a", False, 101) == (False, False)
    assert told.add(b"b", True, 105) == (False, False)
    assert told.since_s == 100
    assert told.add(b"a", True, 106) == (True, False)
    assert told.add(b"c", False, 109) == (False, False)
    assert told.since_s == 105
    assert told.add(b"a", False, 110) == (True, True)
    assert told.add(b"b", False, 110) == (False, False)


def test_a_notice_of_a_campaign_that_is_newer_than_the_book_waits_for_it(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(1))
    host.world.publish([campaign("newer", "9", frequency=[cap(1)])])
    host.world.fund("newer", 1_000_000_000)
    (bid,) = host.bid()
    host.tell(NoticeKind.LOSS, bid)
    assert not host.bid()
    host.settlement.refresh(host.world.book)
    assert host.bid()


class BrokenStore:
    """As a store with a bug in it."""

    remote = SimpleNamespace(free=True)

    async def change(self, *asked: object) -> None:
        raise RuntimeError("a bug")


def test_a_writer_that_fails_leaves_none_behind(tmp_path: Path) -> None:
    host = Host(tmp_path, cap(1), store=BrokenStore())  # type: ignore[arg-type]
    [bid] = host.bid()
    host.tell(NoticeKind.IMPRESSION, bid)

    async def scene() -> None:
        with pytest.raises(ExceptionGroup):
            await host.settlement.run()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scene())


def test_without_a_table_nothing_happens(tmp_path: Path) -> None:
    settlement = Settlement(tmp_path, Settings(), None)
    settlement.refresh(None)
    settlement.notice(NoticeKind.IMPRESSION, Token(bytes(12), user=5))
    assert settlement.statistics()["waiting"] == 0


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


async def written(settlement: Settlement) -> None:
    writing = asyncio.ensure_future(settlement.run())
    async with asyncio.timeout(5):
        while settlement.statistics()["waiting"] or settlement.counts["stored"] < settlement.counts["shown"]:
            await asyncio.sleep(0.005)
    writing.cancel()


@pytest.fixture
def two_hosts(tmp_path: Path, memcached: str) -> Iterator[tuple[Host, Host]]:
    stores = [a_store(memcached), a_store(memcached)]
    yield Host(tmp_path / "a", cap(2), store=stores[0]), Host(tmp_path / "b", cap(2), store=stores[1])
    for store in stores:
        store.close()


def test_impressions_on_two_hosts_add_up_in_the_store_and_come_back_to_both(two_hosts: tuple[Host, Host]) -> None:
    first, second = two_hosts
    first.tell(NoticeKind.IMPRESSION, first.bid("shared-user")[0])
    run(written(first.settlement))
    second.tell(NoticeKind.IMPRESSION, second.bid("shared-user")[0])
    run(written(second.settlement))
    assert not second.bid("shared-user")
    (late,) = first.bid("shared-user")  # it has not been told yet
    segments = SegmentTable(first.directory / "segments", 64)
    keeper = UserKeeper(first.table, segments, first.store, Users(), wall=lambda: first.now_s)
    Acquaintances(first.table).ask(page_token(first.world, late).user)
    assert run(keeper.turn())
    first.at(3 * HOLD_S)  # the hold of that bid is over; what the other host has shown is not
    assert not first.bid("shared-user")
