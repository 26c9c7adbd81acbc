"""Counters of closed windows become a second of each arm; the tracker's notices are among them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bidder._fast.counters import CounterFile
from bidder.canary.fold import Fold
from bidder.canary.second import Second
from bidder.events.outbox import TRACKER_ROW, Outbox
from bidder.events.schema import Fallback, Kind, LintResult, NoticeKind, Row, Shadow
from bidder.outcome import Reason
from bidder.settings import SHIPPED_EXCHANGES, SettingsError, parse
from bidder.tracking.counted import TrackerCounters
from tests.trackers import MINUTE, House, play


def row(kind: Kind, n: int = 1, *, arm: int = 1, amount: int = 0, **fields: int) -> Row:
    values = dict.fromkeys(Row.__struct_fields__, 0) | {"minute": MINUTE} | fields
    return Row(**(values | {"kind": kind, "arm": arm, "n": n, "amount": amount}))


def folded(*rows: Row, slow_us: int = 16_384) -> tuple[Second, Second]:
    fold = Fold(MINUTE, slow_us)
    fold.add(rows)
    return fold.take()


def test_each_arm_has_its_own_and_the_stable_one_none() -> None:
    fold = Fold(MINUTE, 16_384)
    fold.add([row(Kind.REQUEST, 5), row(Kind.REQUEST, 7, arm=2), row(Kind.REQUEST, 100, arm=0)])
    fold.add([row(Kind.REQUEST, 1, country=3)])
    canary, baseline = fold.take()
    assert (canary.requests, baseline.requests) == (6, 7)
    assert fold.take() == (Second(), Second())


def test_a_request_with_several_bids_is_filled_once() -> None:
    canary, _ = folded(
        row(Kind.REQUEST, 10),
        row(Kind.NOBID, 3, reason=Reason.FLOOR),
        row(Kind.NOBID, 1, reason=Reason.BROKEN),
        row(Kind.BID, 9, amount=900, campaign=1),
        row(Kind.BID, 3, amount=600, campaign=2),
    )
    assert (canary.filled, canary.bids, canary.offered) == (6, 12, 1_500)
    assert canary.offered_squares == 900**2 / 9 + 600**2 / 3
    assert canary.nobids == {"floor": 3}
    assert canary.errors == 1


def test_slow_is_what_is_above_the_aim_for_certain() -> None:
    canary, _ = folded(*(row(Kind.LATENCY, 2, reason=bucket) for bucket in (10, 14, 15, 16)), slow_us=16_384)
    assert canary.latency == {10: 2, 14: 2, 15: 2, 16: 2}
    assert canary.slow == 4
    canary, _ = folded(row(Kind.LATENCY, 1, reason=14), row(Kind.LATENCY, 1, reason=15), slow_us=16_000)
    assert canary.slow == 1  # what took 16.2 ms is in the bucket that 16 ms is in


def test_what_the_stable_build_had_to_answer_is_late_or_an_error_of_the_arm() -> None:
    canary, _ = folded(*(row(Kind.FALLBACK, 2**why, reason=why) for why in Fallback))
    assert canary.late == 2**Fallback.LATE + 2**Fallback.BUSY
    assert canary.errors == 2**Fallback.GONE + 2**Fallback.PRICE + 2**Fallback.BROKEN


def test_wins_and_spend_are_of_bids_of_this_canary() -> None:
    canary, _ = folded(
        row(Kind.NOTICE, 2, reason=NoticeKind.WIN),
        row(Kind.NOTICE, 2, reason=NoticeKind.BILL, amount=50),
        row(Kind.NOTICE, 9, reason=NoticeKind.BILL, amount=900, minute=MINUTE - 1),
        row(Kind.NOTICE, 1, reason=NoticeKind.LOSS),
    )
    assert (canary.wins, canary.spent) == (2, 50)


def test_answers_against_the_linter_groups_and_shadows() -> None:
    canary, baseline = folded(
        row(Kind.LINT, 3, reason=LintResult.VALID),
        row(Kind.LINT, 1, reason=LintResult.INVALID),
        row(Kind.GROUP, 4, reason=63),
        row(Kind.GROUP, 2, reason=64 + 63, amount=80),
        *(row(Kind.SHADOW, 2**how, reason=how, arm=2) for how in Shadow),
    )
    assert (canary.linted, canary.invalid) == (4, 1)
    assert canary.groups == {63: (4, 2, 80)}
    assert baseline.late == 2**Shadow.NONE
    assert baseline.compared == sum(2**how for how in Shadow) - 2**Shadow.NONE
    assert baseline.other == 2**Shadow.PRICE + 2**Shadow.CAMPAIGN
    assert (baseline.more, baseline.fewer, baseline.invalid) == (2**Shadow.BID, 2**Shadow.NO_BID, 2**Shadow.INVALID)


def test_a_tracker_counts_what_is_booked_once_with_the_money_where_it_is_booked(tmp_path: Path) -> None:
    file = CounterFile(tmp_path / "shm" / "counters")
    counters = TrackerCounters(tmp_path, SHIPPED_EXCHANGES)
    counters.refresh()

    async def scene(house: House) -> None:
        house.desk.count = counters.notice
        for path in (
            f"/win/{house.token(1, arm=1)}?price=1.5",
            f"/bill/{house.token(1, arm=1)}?price=1.5",
            f"/bill/{house.token(1, arm=1)}?price=1.5",
            f"/bill/{house.token(2, arm=1)}?price=99",
            f"/bill/{house.token(3, arm=0)}?price=1.5",
        ):
            assert (await house.fetch(path)).code == 204

    play(tmp_path, scene)
    deltas = Outbox(tmp_path, "h/bidder", 10).close_window(file, [TRACKER_ROW], 0)
    assert {(r.kind, r.arm, r.reason, r.n, r.amount, r.minute) for r in deltas.rows} == {
        (Kind.NOTICE, 1, NoticeKind.WIN, 1, 0, MINUTE),
        (Kind.NOTICE, 1, NoticeKind.BILL, 1, 1_500_000, MINUTE),
        (Kind.NOTICE, 0, NoticeKind.BILL, 1, 1_500_000, MINUTE),
    }


@pytest.mark.parametrize("wrong", [{"alpha": 1.0}, {"tau": 0.0}, {"min_s": 9_000}, {"wait_ms": 1_000}, {"late": 1.5}])
def test_settings_that_cannot_be_judged_by_are_refused_by_name(wrong: Mapping[str, float]) -> None:
    with pytest.raises(SettingsError, match="canary"):
        parse({"canary": wrong}, "here")
