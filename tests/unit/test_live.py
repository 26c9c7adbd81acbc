"""What the live page makes of the bus."""

from bidder.events.live import Live
from bidder.events.schema import Deltas, Kind, Row


def row(kind: Kind, n: int, reason: int = 0, amount: int = 0) -> Row:
    return Row(kind, 1, 0, reason, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n, amount)


def deltas(seq: int, *rows: Row) -> Deltas:
    return Deltas("host/bidder", 1, seq, seq * 1000, list(rows))


def test_rates_are_of_the_last_windows() -> None:
    live = Live()
    for seq in range(1, 31):
        live.add(deltas(seq, row(Kind.REQUEST, seq), row(Kind.BID, 2), row(Kind.NOBID, 1, reason=24)))
    shown = live.snapshot({1: "openx"})
    assert shown["requests_per_s"] == sum(range(21, 31)) / 10
    assert shown["exchanges"] == {"openx": {"requests_per_s": 25.5, "bids_per_s": 2.0}}
    assert shown["nobid_reasons_per_s"] == {"FLOOR": 1.0}
    assert len(shown["points"]) == 30


def test_a_window_that_is_sent_again_counts_once() -> None:
    live = Live()
    for _ in range(2):
        live.add(deltas(1, row(Kind.REQUEST, 5)))
    assert live.snapshot({})["requests_per_s"] == 5


def test_percentiles_are_upper_ends_of_buckets() -> None:
    live = Live()
    live.add(deltas(1, row(Kind.LATENCY, 98, reason=3), row(Kind.LATENCY, 2, reason=9)))
    assert live.snapshot({})["latency_us"] == {"p50": 8, "p99": 512}
