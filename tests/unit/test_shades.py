"""Shades: what hosts are told of markets where the winner pays its bid, from notices to shared memory."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from math import exp
from pathlib import Path
from random import Random

from psycopg2.extensions import connection as Connection

from aggregator import stage
from aggregator.dedupe import BidState, Booking, book
from bidder.controller.leases import LeaseOffice
from bidder.controller.shades import DAYS, read
from bidder.events.schema import Notice, NoticeKind
from bidder.money.pacing import ALWAYS, Pacer
from bidder.money.shading import BINS, FIRST_BIN, LEAST_SEEN, STEPS, Shading, bin_of, key_of, shares, wider
from bidder.money.wire import LeaseSync, Shades
from bidder.settings import Money
from tests.market import poisson

BANNER = key_of(1, 1, 320, 50)
LARGE = key_of(1, 1, 1920, 1080)
NOON = datetime(2026, 3, 10, 12, 20, tzinfo=UTC)
TODAY = int(NOON.timestamp()) // 86_400
VALUE = 4_000_000
RULES = {1: NoticeKind.BILL}


def rival(random: Random, median: float = 1_200_000) -> int:
    return max(1, round(median * exp(0.5 * random.gauss(0, 1))))


def landscape(count: int = 20_000, seed: int = 1) -> Counter[int]:
    random = Random(seed)
    return Counter(bin_of(rival(random)) for _ in range(count))


def told(kind: NoticeKind, min_to_win: int, number: int = 1, **changes: int) -> Notice:
    fields = dict.fromkeys(Notice.__struct_fields__, 0) | {"exchange": 1, "format": 1, "w": 320, "h": 50, "campaign": 4}
    bid = (TODAY * 1_440).to_bytes(4, "big") + number.to_bytes(8, "big")
    return Notice(**(fields | {"kind": kind, "bid_id": bid, "price": 5, "min_to_win": min_to_win} | changes))  # type: ignore[arg-type]


def booked(*notices: Notice, states: dict[bytes, BidState] | None = None) -> Booking:
    return book(notices, states or {}, RULES)


def test_each_auction_teaches_once_by_whichever_notice_decides_it_first() -> None:
    here = (TODAY, BANNER)
    loss = booked(told(NoticeKind.LOSS, 2_000_000))
    assert loss.min_to_win == {(*here, bin_of(2_000_000)): [1]}
    both = booked(told(NoticeKind.WIN, 1_000_000), told(NoticeKind.BILL, 1_000_000))
    assert both.min_to_win == {(*here, bin_of(1_000_000)): [1]}
    later = booked(told(NoticeKind.BILL, 1_000_000), states=booked(told(NoticeKind.WIN, 1_000_000)).bids)
    assert later.min_to_win == {}
    assert booked(told(NoticeKind.WIN, 0), told(NoticeKind.IMPRESSION, 7)).min_to_win == {}


def test_bins_are_eighths_of_a_doubling_and_end_where_the_scale_does() -> None:
    assert [bin_of(price) for price in (2**20, 2**21, 3 * 2**20)] == [160, 168, 172]
    assert bin_of(1) == FIRST_BIN
    assert bin_of(2**40) == FIRST_BIN + BINS - 1


def test_shares_gain_about_the_most_that_can_be_gained() -> None:
    """Of the expected gain of any one bid, on auctions that were not learned from."""
    found = shares(landscape())
    assert found is not None
    fresh = [rival(Random(2)) for _ in range(1)] + [rival(random) for random in [Random(9)] for _ in range(20_000)]

    def gain(value: int, bid: int) -> float:
        return (value - bid) * sum(price <= bid for price in fresh) / len(fresh)

    for step in (36, 39, 44):
        value = round(2 ** (12 + step // 4) * (1 + (step % 4 + 0.5) / 4))
        own = gain(value, value * (found[step] or 65_536) >> 16)
        best = max(gain(value, value * part // 40) for part in range(1, 41))
        assert own >= 0.97 * best


def test_too_little_seen_is_not_believed() -> None:
    assert shares({200: LEAST_SEEN - 1}) is None
    assert shares({160: LEAST_SEEN}) is not None


def test_who_could_not_win_anyway_bids_its_value() -> None:
    found = shares({bin_of(2**26): 1_000.0})
    assert found is not None
    assert found[:20] == [0] * 20


def test_wider_is_of_all_sizes_and_no_class_itself() -> None:
    assert wider(BANNER) == wider(LARGE) != wider(key_of(1, 2, 320, 50))
    assert wider(wider(BANNER)) == wider(BANNER) != BANNER


def seen(db: Connection, key: int, bins: Counter[int], day: int = TODAY) -> None:
    with db, db.cursor() as cursor:
        stage.add(cursor, stage.MIN_TO_WIN, {(day, key, bin): [times] for bin, times in bins.items()})


def test_hosts_get_the_shades_once_and_again_when_they_change(db: Connection) -> None:
    office = LeaseOffice(Money())

    def ask(version: str | None, now: datetime = NOON) -> Shades | None:
        question = LeaseSync(host="host", healthy=True, revision=0, held=[], seen="", shades=version)
        return office.sync(db, question, now).shades

    assert ask(None) is None
    first = ask("")
    assert first is not None
    assert first.classes == []
    assert ask(first.version) is None
    seen(db, BANNER, landscape())
    assert ask(first.version, NOON + timedelta(seconds=10)) is None
    second = ask(first.version, NOON + timedelta(seconds=301))
    assert second is not None
    assert [key for key, _ in second.classes] == [BANNER]
    assert len(second.classes[0][1]) == 2 * STEPS
    assert ask(second.version, NOON + timedelta(seconds=302)) is None


def test_a_class_seldom_seen_has_the_landscape_of_all_sizes(db: Connection) -> None:
    seen(db, BANNER, landscape())
    seen(db, LARGE, Counter({bin_of(1_000_000): 3}))
    seen(db, key_of(1, 2, 640, 360), Counter({bin_of(1_000_000): 3}))
    with db, db.cursor() as cursor:
        classes = dict(read(cursor, NOON).classes)
    assert classes.keys() == {BANNER, LARGE}


def test_older_days_fade_and_are_forgotten(db: Connection) -> None:
    seen(db, BANNER, Counter({bin_of(1_000_000): 1_200}), TODAY - 2)
    with db, db.cursor() as cursor:
        assert len(read(cursor, NOON).classes) == 1
        assert read(cursor, NOON + timedelta(days=1)).classes == []
    seen(db, BANNER, Counter({bin_of(1_000_000): 10**6}), TODAY - DAYS)
    with db, db.cursor() as cursor:
        assert len(read(cursor, NOON - timedelta(days=1)).classes) == 1
        assert len(read(cursor, NOON).classes) == 1
        assert read(cursor, NOON + timedelta(days=1)).classes == []


def hour(table: Shading | None, traffic: float, amount: int) -> tuple[int, int]:
    """(impressions, cost) of a paced hour in a first-price market of known landscape."""
    random, pacer = Random(5), Pacer()
    spent = taken = impressions = 0
    for second in range(3_600):
        throttle, multiplier = pacer.step(amount, spent, 0, taken, 1_000 * second, 3_600_000, second + 1.0)
        taken = 0
        value = VALUE if table is None else table.shade(BANNER, VALUE)
        bid = value * multiplier >> 16
        for _ in range(poisson(random, traffic * throttle / ALWAYS)):
            if bid >= rival(random) and amount - spent >= bid:
                spent, taken, impressions = spent + bid, taken + bid, impressions + 1
    return impressions, spent


def test_in_a_first_price_market_shading_buys_cheaper_and_loses_no_delivery(tmp_path: Path) -> None:
    found = shares(landscape())
    assert found is not None
    table = Shading(tmp_path / "shading", make=True)
    table.put(BANNER, found)
    for traffic, amount in ((0.5, 10**12), (2.0, 10 * 10**9)):  # money, then traffic, is plenty
        plain, shaded = hour(None, traffic, amount), hour(table, traffic, amount)
        cost = (shaded[1] / shaded[0]) / (plain[1] / plain[0])
        assert cost <= 0.85
        surplus = [n * VALUE - paid for n, paid in (plain, shaded)]
        assert surplus[1] >= surplus[0]
        if amount < 10**12:
            assert shaded[0] >= plain[0]
            assert shaded[1] >= 0.98 * amount
        else:
            assert cost <= 0.8
            assert shaded[0] >= 0.75 * plain[0]
