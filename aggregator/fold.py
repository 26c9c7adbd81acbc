"""Fold: counter windows become rows of the rollups. Pure: no clock, no I/O.

windows of one producer -> advance() picks those that are next -> fold() adds their rows up
Rows with the same key are one row afterwards; adding up in any order gives the same rows.
Minutes: UTC minutes since 1970. Money: int nano-USD.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import astuple

from bidder.events.schema import CapEvent, Deltas, Fallback, Kind, Row, Shadow

TrafficKey = tuple[int, ...]  # minute, then the fields of Row from exchange to inventory
LatencyKey = tuple[int, int, int, int]  # minute, exchange, arm, bucket
CapKey = tuple[int, int, int, int, int]  # minute, exchange, arm, campaign, creative
ArmKey = tuple[int, int, int]  # minute, exchange, arm

_DIMENSIONS = slice(1, 13)  # of a Row: exchange to inventory
# What the host's own judge of canaries looks at, and nobody later.
_OF_CANARIES = frozenset({Kind.LINT, Kind.NOTICE, Kind.GROUP})
_ARM_MEASURES = 1 + len(Fallback) + len(Shadow)  # requests, then those by their numbers
_BUILDS = (1, 2)  # arms that other builds answer


@dataclass(frozen=True, slots=True)
class Loss:
    """Windows of one producer that it cannot send again."""

    producer: str
    epoch: int
    first: int
    last: int


@dataclass(slots=True)
class Folded:
    """What a batch of windows adds to the rollups."""

    traffic: dict[TrafficKey, list[int]] = field(default_factory=dict)  # requests, bids, nobids, bid_nano
    latency: dict[LatencyKey, list[int]] = field(default_factory=dict)  # n
    caps: dict[CapKey, list[int]] = field(default_factory=dict)  # shown, beyond, given back
    arms: dict[ArmKey, list[int]] = field(default_factory=dict)  # requests, by Fallback, by Shadow
    unknown: int = 0  # rows of kinds that this build does not know


@dataclass(slots=True)
class Advance:
    """How one (producer, epoch) moves on from its mark."""

    mark: int
    window_ms: int
    windows: list[Deltas] = field(default_factory=list)
    gaps: list[tuple[int, int, int, int]] = field(default_factory=list)  # first, last, after_ms, before_ms


def advance(mark: int, window_ms: int, windows: Iterable[Deltas], losses: Iterable[Loss]) -> Advance:
    """From `mark`, strictly in order: repeats are dropped, a hole stops, unless it is a declared loss.

    `window_ms` is when the marked window was closed. A loss that someone has meanwhile filled, or
    declared, only counts for what is still missing of it.
    """
    moved = Advance(mark, window_ms)
    waiting = {window.seq: window for window in windows}
    lost = sorted((loss.first, loss.last) for loss in losses)
    for seq in sorted(waiting):
        if seq <= moved.mark:
            continue
        if seq > moved.mark + 1:
            hole = (moved.mark + 1, seq - 1)
            if not any(first <= hole[0] and hole[1] <= last for first, last in lost):
                break
            moved.gaps.append((*hole, moved.window_ms, waiting[seq].window_ms))
        moved.windows.append(waiting[seq])
        moved.mark, moved.window_ms = seq, waiting[seq].window_ms
    return moved


def _place(row: Row) -> int | None:
    """Where a row counts in the measures of its arm, if it does."""
    if row.kind == Kind.REQUEST and row.arm in _BUILDS:
        return 0
    if row.kind == Kind.FALLBACK and 0 < row.reason <= len(Fallback):
        return row.reason
    if row.kind == Kind.SHADOW and 0 < row.reason <= len(Shadow):
        return len(Fallback) + row.reason
    return None


def fold(windows: Iterable[Deltas]) -> Folded:
    """The rows of all windows, added up by key."""
    folded = Folded()
    for window in windows:
        for row in window.rows:
            place = _place(row)
            if place is not None:
                arm = folded.arms.setdefault((row.minute, row.exchange, row.arm), [0] * _ARM_MEASURES)
                arm[place] += row.n
                if place:
                    continue
            if row.kind == Kind.LATENCY:
                latency = folded.latency.setdefault((row.minute, row.exchange, row.arm, row.reason), [0])
                latency[0] += row.n
                continue
            if row.kind == Kind.CAP and CapEvent.SHOWN <= row.reason <= CapEvent.GIVEN_BACK:
                key = (row.minute, row.exchange, row.arm, row.campaign, row.creative)
                folded.caps.setdefault(key, [0, 0, 0])[row.reason - CapEvent.SHOWN] += row.n
                continue
            if row.kind in _OF_CANARIES:
                continue
            if row.kind not in (Kind.REQUEST, Kind.BID, Kind.NOBID):
                folded.unknown += 1
                continue
            measures = folded.traffic.setdefault((row.minute, *astuple(row)[_DIMENSIONS]), [0, 0, 0, 0])
            measures[row.kind - Kind.REQUEST] += row.n
            if row.kind == Kind.BID:
                measures[3] += row.amount
    return folded
