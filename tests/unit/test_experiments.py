"""Experiments: who is in which arm, what is off there, and what Postgres keeps of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection

from bidder._fast.slice import bucket
from bidder.campaigns.arms import ArmRange, packed_arms
from bidder.canary.comparison import compare
from bidder.canary.second import Second
from bidder.controller import experiments, store
from bidder.controller.experiments import Minute, Wanted, place
from bidder.controller.store import StoreError
from bidder.events.schema import Kind
from bidder.features import Feature
from bidder.outcome import Reason
from tests.unit.test_deals import by_deal, offered
from tests.worlds import Answer, World

TRAFFIC = (
    "INSERT INTO rollup.traffic_minute (minute, exchange, arm, reason, format, os, country, w, h, campaign, creative,"
    " deal, inventory, requests, bids, nobids) VALUES (%s, 1, %s, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 7, 4)"
)
DAY = timedelta(days=1)
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
CONTROL = ArmRange(3, 4_000, 1_000, [])
OPEN = ArmRange(7, 5_000, 1_500, ["deals", "of a later build"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, [by_deal("c-1", "2", "d-7")], arms=[OPEN, CONTROL])
    world.fund("c-1", 10**12)
    return world


def ask(world: World, name: str) -> Answer:
    return world.ask(offered({"id": "d-7"}, private=1) | {"id": name})


def arm_of(name: str) -> int:
    at = bucket(name.encode())
    return next((arm.key for arm in (CONTROL, OPEN) if arm.first <= at < arm.first + arm.buckets), 0)


def test_a_request_counts_in_the_arm_of_its_bucket_and_goes_without_what_is_off_there(world: World) -> None:
    seen = dict.fromkeys((0, 3, 7), 0)
    for n in range(400):
        answer, arm = ask(world, f"r-{n}"), arm_of(f"r-{n}")
        seen[arm] += 1
        assert {row.arm for row in answer.counted(Kind.REQUEST) + answer.counted(Kind.BID)} == {arm}
        assert answer.reason == (Reason.FEATURE if arm == 7 else None)
    assert min(seen.values()) > 20


def test_what_is_off_for_all_is_off_in_every_arm(world: World) -> None:
    world.board.features_off = Feature.DEALS
    reasons = {(arm_of(f"r-{n}"), ask(world, f"r-{n}").reason) for n in range(60)}
    assert reasons == {(0, Reason.FEATURE), (3, Reason.FEATURE), (7, Reason.FEATURE)}


def test_a_canary_takes_its_buckets_from_an_experiment_that_they_reach(world: World) -> None:
    world.board.set_arm(1, begin=0, end=4_500)
    name = next(f"r-{n}" for n in range(1_000) if 4_000 <= bucket(f"r-{n}".encode()) < 4_500)
    assert ask(world, name).counted(Kind.REQUEST)[0].arm == 1


def test_the_next_book_is_without_a_stopped_experiment(world: World) -> None:
    world.arms = []
    world.publish([by_deal("c-1", "2", "d-7")])
    assert {ask(world, f"r-{n}").counted(Kind.REQUEST)[0].arm for n in range(60)} == {0}
    assert world.book is not None
    assert world.book.arm_ranges == []


def test_the_book_has_arms_by_bucket(world: World) -> None:
    assert world.book is not None
    assert world.book.arm_ranges == [(4_000, 5_000, 3, 0), (5_000, 6_500, 7, int(Feature.DEALS))]
    assert packed_arms([]) == b""


def test_ranges_are_given_from_the_middle_outwards_and_never_overlap() -> None:
    taken: list[tuple[int, int]] = []
    for buckets in (1_000, 1_000, 3_000, 500, 1, 2_499, 1_000):
        first = place(buckets, taken)
        assert all(first + buckets <= low or first >= high for low, high in taken)
        assert first >= 500
        assert first + buckets <= 9_500
        taken.append((first, first + buckets))
    assert taken[0] == (4_500, 5_500)
    assert sum(high - low for low, high in taken) == 9_000
    with pytest.raises(StoreError, match=r"no room for an arm of 0.01 %: 0 % is the largest part"):
        place(1, taken)


def test_an_experiment_is_published_until_it_is_stopped(db: Connection) -> None:
    before = store.revision(db)
    wanted = [Wanted("control", 1_000), Wanted("new", 1_000, ("shading",))]
    revision = experiments.start(db, "shade", wanted)
    assert revision > before
    published, _, arms = store.read_records(db, NOON)
    assert published == revision
    assert [(arm.buckets, arm.off) for arm in arms] == [(1_000, []), (1_000, ["shading"])]
    with pytest.raises(StoreError, match="already"):
        experiments.start(db, "shade", wanted)
    second = experiments.start(db, "second", [Wanted("a", 100), Wanted("b", 100)])
    keys = [arm.key for one in experiments.all_of(db) for arm in one.arms]
    assert sorted(keys) == [3, 4, 5, 6]
    with pytest.raises(StoreError, match="no room for an arm of 70 %"):
        experiments.start(db, "third", [Wanted("a", 7_000), Wanted("b", 1)])
    assert store.revision(db) == second, "what was refused left nothing"
    with pytest.raises(StoreError, match="runs; stop it first"):
        experiments.remove(db, "shade")
    experiments.stop(db, "shade")
    assert {arm.key for arm in store.read_records(db, NOON)[2]} == {5, 6}
    with pytest.raises(StoreError, match="stopped before"):
        experiments.stop(db, "shade")
    with pytest.raises(StoreError, match="no experiment 'no-such'"):
        experiments.stop(db, "no-such")
    experiments.start(db, "fourth", [Wanted("a", 1), Wanted("b", 1)])
    with db.cursor() as cursor:
        cursor.execute("SELECT key, name FROM rollup.name WHERE dimension = 'arm' AND key BETWEEN 3 AND 8 ORDER BY key")
        assert cursor.fetchall() == [
            (3, "shade/control"), (4, "shade/new"), (5, "second/a"), (6, "second/b"), (7, "fourth/a"), (8, "fourth/b"),
        ]  # fmt: skip
        cursor.execute(
            "SELECT arm_name, share, features_off FROM report.experiments WHERE experiment = 'shade' ORDER BY 1"
        )
        assert cursor.fetchall() == [("shade/control", Decimal("0.1"), []), ("shade/new", Decimal("0.1"), ["shading"])]


def test_keys_are_given_back_once_no_report_has_figures_of_them(db: Connection) -> None:
    experiments.start(db, "old", [Wanted("a", 1), Wanted("b", 1)])
    experiments.stop(db, "old")
    now = datetime.now(UTC)
    counted(db, 3, now)
    with pytest.raises(StoreError, match=r"still have figures of its arms \(rollup.traffic_minute\)"):
        experiments.remove(db, "old")
    with db, db.cursor() as cursor:
        cursor.execute("DELETE FROM rollup.traffic_minute")
    experiments.remove(db, "old")
    assert experiments.all_of(db) == []
    experiments.start(db, "new", [Wanted("a", 1), Wanted("b", 1)])
    assert [arm.key for arm in experiments.all_of(db)[0].arms] == [3, 4]


def counted(db: Connection, arm: int, minute: datetime) -> None:
    """Ten requests, seven bids, four no-bids."""
    with db, db.cursor() as cursor:
        day = f"{minute:%Y-%m-%d}"
        ask = ("rollup.traffic_minute", f"traffic_minute_{day.replace('-', '')}", day, f"{minute + DAY:%Y-%m-%d}")
        cursor.execute("SELECT ops.ensure_partition(%s, %s, %s, %s)", ask)
        cursor.execute(TRAFFIC, (minute.replace(second=0, microsecond=0), arm))


def minutes(n: int, bids: int, spent: int) -> list[Second]:
    """Of a thousand requests each, a little more and a little less in turns."""
    return [
        Second(requests=1_000, filled=bids + n % 7, bids=bids + n % 7, wins=bids // 2 + n % 3, spent=spent + n % 5)
        for n in range(n)
    ]


def test_arms_that_differ_are_told_apart_and_equal_ones_are_not() -> None:
    first, same, less = minutes(120, 400, 90_000), minutes(120, 400, 90_000), minutes(120, 300, 60_000)
    assert {finding.says for finding in compare(zip(same, first, strict=True), 1)} == {"alike"}
    found = {finding.measure: finding for finding in compare(zip(less, first, strict=True), 1)}
    assert found["bid rate"].says == "differs"
    assert found["bid rate"].high < 0
    assert found["spend per thousand requests"].says == "differs"
    assert found["spend per thousand requests"].low < -30_000 < found["spend per thousand requests"].high
    assert {finding.says for finding in compare(zip(less[:9], first[:9], strict=True), 1)} == {"open"}


def test_figures_are_those_of_whole_minutes_in_which_the_arms_were_in_force(db: Connection) -> None:
    experiments.start(db, "shade", [Wanted("a", 1), Wanted("b", 1)])
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with db, db.cursor() as cursor:
        cursor.execute("UPDATE config.experiment SET began = %s", (now - timedelta(minutes=2, seconds=30),))
    for age in range(4):
        counted(db, 3 + age % 2, now - timedelta(minutes=age))
    (experiment,) = experiments.all_of(db)
    assert experiments.figures(db, experiment) == {
        now - timedelta(minutes=2): {3: Minute(requests=10, unfilled=4, bids=7)},
        now - timedelta(minutes=1): {4: Minute(requests=10, unfilled=4, bids=7)},
    }
