"""Fold and inbox: which windows are next, what is asked for, what is given up."""

from aggregator.fold import Loss, advance, fold
from aggregator.inbox import GIVE_UP_S, SILENT_S, Ask, Inbox
from bidder.events.schema import Deltas, Fallback, Kind, Row, Shadow


def row(kind: Kind, n: int = 1, amount: int = 0, **fields: int) -> Row:
    values = dict.fromkeys(Row.__struct_fields__, 0) | {"kind": kind, "exchange": 1, "minute": 100, "n": n}
    return Row(**(values | {"amount": amount} | fields))


def window(seq: int, rows: list[Row] | None = None, producer: str = "p", epoch: int = 7) -> Deltas:
    return Deltas(producer, epoch, seq, 1_000 * seq, rows or [])


def inbox_at(mark: int, *seqs: int, now: float = 0.0, **limits: int) -> Inbox:
    inbox = Inbox(**limits)
    inbox.learn({("p", 7): mark})
    for seq in seqs:
        inbox.offer(window(seq), now)
    return inbox


def taken(inbox: Inbox, *losses: Loss) -> list[int]:
    return [deltas.seq for deltas in inbox.take(losses, 1_000)]


def test_fold_adds_rows_of_one_key_and_keeps_the_kinds_apart() -> None:
    folded = fold(
        [
            window(1, [row(Kind.REQUEST, 3), row(Kind.BID, 2, 500, campaign=9), row(Kind.NOBID, 1, reason=24)]),
            window(2, [row(Kind.REQUEST, 4), row(Kind.BID, 1, 70, campaign=9), row(Kind.LATENCY, 5, reason=6)]),
        ]
    )
    assert sorted(folded.traffic.values()) == [[0, 0, 1, 0], [0, 3, 0, 570], [7, 0, 0, 0]]
    assert folded.latency == {(100, 1, 0, 6): [5]}


def test_fold_adds_up_what_became_of_capped_bids() -> None:
    rows = [
        row(Kind.CAP, 2, reason=1, campaign=9, creative=4),
        row(Kind.CAP, 1, reason=2, campaign=9, creative=4),
        row(Kind.CAP, 5, reason=3, campaign=9, creative=5),
        row(Kind.CAP, 1, reason=9, campaign=9),  # of a later build
    ]
    folded = fold([window(1, rows), window(2, rows[:1])])
    assert folded.caps == {(100, 1, 0, 9, 4): [4, 1, 0], (100, 1, 0, 9, 5): [0, 0, 5]}
    assert (folded.traffic, folded.unknown) == ({}, 1)


def test_fold_says_who_answered_the_requests_of_an_arm_and_how_shadows_compare() -> None:
    rows = [
        row(Kind.REQUEST, 9, arm=1, country=5),
        row(Kind.REQUEST, 3, arm=1, country=6),
        row(Kind.REQUEST, 7),
        row(Kind.REQUEST, 2, arm=3),  # of an experiment: the worker that read it answered
        row(Kind.FALLBACK, 2, arm=1, reason=Fallback.LATE),
        row(Kind.FALLBACK, 1, arm=1, reason=Fallback.BROKEN),
        row(Kind.SHADOW, 4, arm=2, reason=Shadow.SAME),
        row(Kind.SHADOW, 5, arm=2, reason=Shadow.NONE),
        row(Kind.FALLBACK, 1, arm=1, reason=99),  # of a later build
    ]
    folded = fold([window(1, rows)])
    assert folded.arms == {
        (100, 1, 1): [12, 2, 0, 0, 0, 1, *[0] * 7],
        (100, 1, 2): [0] * 6 + [4, 0, 0, 0, 0, 0, 5],
    }
    assert sum(requests for requests, *_ in folded.traffic.values()) == 21
    assert folded.unknown == 1


def test_fold_counts_rows_of_a_kind_that_it_does_not_know() -> None:
    values = dict.fromkeys(Row.__struct_fields__, 0) | {"kind": 99, "n": 1}
    assert fold([window(1, [Row(**values)])]).unknown == 1


def test_advance_drops_repeats_and_stops_at_a_hole() -> None:
    moved = advance(3, 3_000, [window(5), window(2), window(4), window(4), window(7)], [])
    assert [deltas.seq for deltas in moved.windows] == [4, 5]
    assert (moved.mark, moved.window_ms, moved.gaps) == (5, 5_000, [])


def test_advance_goes_over_a_declared_loss_and_says_from_when_to_when() -> None:
    moved = advance(3, 3_000, [window(7), window(8)], [Loss("p", 7, 4, 6)])
    assert (moved.mark, moved.gaps) == (8, [(4, 6, 3_000, 7_000)])


def test_advance_declares_only_what_is_still_missing_of_a_loss() -> None:
    moved = advance(5, 5_000, [window(7)], [Loss("p", 7, 4, 6)])
    assert moved.gaps == [(6, 6, 5_000, 7_000)]


def test_nothing_is_taken_or_asked_for_before_the_mark_is_known() -> None:
    inbox = Inbox()
    inbox.offer(window(5), 0.0)
    assert inbox.unknown() == [("p", 7)]
    assert (taken(inbox), inbox.due(0.0)) == ([], [])


def test_windows_are_taken_in_order_whatever_order_they_came_in() -> None:
    assert taken(inbox_at(2, 5, 3, 4)) == [3, 4, 5]


def test_what_postgres_has_is_not_kept() -> None:
    inbox = inbox_at(2, 3, 4)
    inbox.learn({("p", 7): 3})
    inbox.offer(window(2), 0.0)
    assert (taken(inbox), inbox.windows) == ([4], 1)


def test_a_hole_is_asked_for_once_a_second() -> None:
    inbox = inbox_at(2, 3, 6, 8)
    assert inbox.due(0.0) == [Ask("p", 7, 4, 5)]
    assert inbox.due(0.9) == []
    assert inbox.due(1.0) == [Ask("p", 7, 4, 5)]


def test_a_filled_hole_leads_to_the_next_one_at_once() -> None:
    inbox = inbox_at(2, 3, 6, 8)
    inbox.due(0.0)
    inbox.offer(window(4), 0.1)
    inbox.offer(window(5), 0.1)
    assert inbox.due(0.1) == [Ask("p", 7, 7, 7)]


def test_a_producer_first_heard_late_is_asked_for_all_that_was_before() -> None:
    assert inbox_at(0, 600).due(0.0) == [Ask("p", 7, 1, 599)]


def test_a_hole_is_given_up_only_after_asking_for_long_enough_and_hearing_more() -> None:
    inbox = inbox_at(2, 5)
    for second in range(int(GIVE_UP_S)):
        inbox.due(float(second))
    assert inbox.losses(GIVE_UP_S) == []  # not heard of since
    inbox.offer(window(6), GIVE_UP_S)
    assert inbox.losses(GIVE_UP_S - 0.1) == []
    lost = inbox.losses(GIVE_UP_S)
    assert lost == [Loss("p", 7, 3, 4)]
    assert taken(inbox, *lost) == [5, 6]


def test_a_hole_of_a_host_that_has_gone_is_given_up_after_a_long_silence() -> None:
    inbox = inbox_at(2, 5)
    inbox.due(0.0)
    assert inbox.losses(SILENT_S - 1) == []
    assert inbox.losses(SILENT_S) == [Loss("p", 7, 3, 4)]


def test_a_full_inbox_drops_the_newest_and_asks_for_them_when_there_is_room() -> None:
    inbox = inbox_at(0, 1, 2, 3, 4, 5, max_windows=3)
    assert (taken(inbox), inbox.dropped) == ([1, 2, 3], 2)
    assert inbox.due(0.0) == []  # there would be no room for the answer
    inbox.learn({("p", 7): 3})
    assert inbox.due(1.0) == [Ask("p", 7, 4, 5)]


def test_rows_bound_the_inbox_too() -> None:
    inbox = Inbox(max_rows=10)
    for seq in (1, 2, 3):
        inbox.offer(window(seq, [row(Kind.REQUEST)] * 4), 0.0)
    assert (inbox.windows, inbox.dropped) == (2, 1)


def test_a_missing_window_that_comes_after_all_makes_room_for_itself() -> None:
    inbox = inbox_at(0, 2, 3, 4, max_windows=3)
    inbox.offer(window(1), 0.0)
    assert taken(inbox) == [1, 2, 3]


def test_epochs_of_one_producer_are_told_apart() -> None:
    inbox = inbox_at(9, 10)
    inbox.offer(window(1, epoch=8), 0.0)
    inbox.learn({("p", 8): 0})
    assert sorted((deltas.epoch, deltas.seq) for deltas in inbox.take([], 100)) == [(7, 10), (8, 1)]
