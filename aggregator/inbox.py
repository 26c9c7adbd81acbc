"""Inbox: windows of counters that wait for their turn, and what to ask for where some are missing.

offer() <- bus; learn()/applied() <- Postgres; due() -> ask the producer again; take() -> to be written.
A (producer, epoch) is applied strictly in order. Bounded: where there is too much, the
highest numbers go first, for their producer can send them again the longest.
A hole is declared lost only while its producer is heard (it had its chance), or after a long silence.
Times: monotonic seconds, passed in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aggregator.fold import Loss
from bidder.events.schema import Deltas

ASK_EVERY_S = 1.0
GIVE_UP_S = 5.0  # of asking, while newer windows arrive
SILENT_S = 300.0  # without any word of the producer: its host has gone
MIN_ASKS = 3
MAX_WINDOWS = 2_048  # kept in all
MAX_ROWS = 250_000  # kept in all; about 100 bytes each

SourceKey = tuple[str, int]  # producer, epoch


@dataclass(frozen=True, slots=True)
class Ask:
    """Windows that a producer should send again."""

    producer: str
    epoch: int
    first: int
    last: int


@dataclass(slots=True)
class _Source:
    """One (producer, epoch). `waiting` holds only windows above `mark`."""

    mark: int | None = None  # last window in Postgres; None: not read yet
    seen: int = 0  # highest number ever heard
    heard_at: float = 0.0
    waiting: dict[int, Deltas] = field(default_factory=dict)
    hole_first: int = 0
    hole_since: float = 0.0
    asked_at: float = 0.0
    asks: int = 0

    def hole(self) -> tuple[int, int] | None:
        """The first missing windows between the mark and the highest that was heard."""
        assert self.mark is not None
        first = self.mark + 1
        while first in self.waiting:
            first += 1
        if first > self.seen:
            return None
        above = min((seq for seq in self.waiting if seq > first), default=self.seen + 1)
        return first, above - 1


class Inbox:
    """All producers that this aggregator hears."""

    def __init__(self, max_windows: int = MAX_WINDOWS, max_rows: int = MAX_ROWS) -> None:
        self._max_windows = max_windows
        self._max_rows = max_rows
        self._sources: dict[SourceKey, _Source] = {}
        self._windows = 0
        self._rows = 0
        self.dropped = 0  # for want of room; asked for again later

    @property
    def windows(self) -> int:
        """How many wait."""
        return self._windows

    def offer(self, window: Deltas, now: float) -> None:
        """A window has arrived, live or again; what is known already changes nothing."""
        source = self._sources.setdefault((window.producer, window.epoch), _Source())
        source.heard_at = now
        source.seen = max(source.seen, window.seq)
        if window.seq in source.waiting or (source.mark is not None and window.seq <= source.mark):
            return
        source.waiting[window.seq] = window
        self._windows += 1
        self._rows += len(window.rows)
        while len(source.waiting) > 1 and (self._windows > self._max_windows or self._rows > self._max_rows):
            self._discard(source, max(source.waiting))
            self.dropped += 1

    def unknown(self) -> list[SourceKey]:
        """Producers whose mark in Postgres is not known yet; nothing of theirs is asked for or taken."""
        return [key for key, source in self._sources.items() if source.mark is None]

    def learn(self, marks: Mapping[SourceKey, int]) -> None:
        """What Postgres has, at the start or after a write; never goes back."""
        for key, mark in marks.items():
            source = self._sources.setdefault(key, _Source())
            source.mark = mark if source.mark is None else max(source.mark, mark)
            for seq in [seq for seq in source.waiting if seq <= source.mark]:
                self._discard(source, seq)

    def due(self, now: float) -> list[Ask]:
        """What to ask for now. Call it often; it keeps its own pace."""
        asks = []
        for (producer, epoch), source in self._sources.items():
            hole = source.hole() if source.mark is not None else None
            if hole is None:
                source.hole_first = 0
                continue
            if hole[0] != source.hole_first:
                source.hole_first, source.hole_since, source.asks = hole[0], now, 0
            if self._windows >= self._max_windows and max(source.waiting, default=0) < hole[0]:
                continue  # there would be no room for an answer
            if source.asks == 0 or now - source.asked_at >= ASK_EVERY_S:
                source.asked_at = now
                source.asks += 1
                asks.append(Ask(producer, epoch, *hole))
        return asks

    def losses(self, now: float) -> list[Loss]:
        """Holes to give up: asked for long enough, and there are windows behind them."""
        lost = []
        for (producer, epoch), source in self._sources.items():
            hole = source.hole() if source.mark is not None else None
            if hole is None or hole[0] != source.hole_first or hole[1] + 1 not in source.waiting:
                continue
            heard = source.heard_at > source.hole_since and now - source.hole_since >= GIVE_UP_S
            if (heard and source.asks >= MIN_ASKS) or now - source.heard_at >= SILENT_S:
                lost.append(Loss(producer, epoch, *hole))
        return lost

    def take(self, losses: Iterable[Loss], max_rows: int) -> list[Deltas]:
        """Windows that may be written now, in order, about `max_rows` rows; they stay until `learn` says they are."""
        over = {(loss.producer, loss.epoch, loss.first): loss.last for loss in losses}
        taken: list[Deltas] = []
        rows = 0
        for (producer, epoch), source in self._sources.items():
            if source.mark is None:
                continue
            seq = source.mark + 1
            while rows < max_rows:
                seq = over.get((producer, epoch, seq), seq - 1) + 1
                window = source.waiting.get(seq)
                if window is None:
                    break
                taken.append(window)
                rows += len(window.rows) + 1
                seq += 1
        return taken

    def _discard(self, source: _Source, seq: int) -> None:
        window = source.waiting.pop(seq)
        self._windows -= 1
        self._rows -= len(window.rows)
