"""Writer: windows of counters into the rollups, and the marks that say so, in one transaction.

marks() -> what Postgres has; apply(windows, losses) -> the new marks. The marks are locked and read inside of the
transaction, so a window counts once however often and to however many aggregators it was sent.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from aggregator import stage
from aggregator.fold import Advance, Loss, advance, fold
from aggregator.inbox import SourceKey
from aggregator.postgres import Link
from bidder.events.schema import Deltas

_LOCK = """
SELECT producer, epoch, seq, window_ms FROM ops.progress
WHERE (producer, epoch) IN (SELECT * FROM unnest(%s::text[], %s::bigint[])) ORDER BY producer, epoch FOR UPDATE
"""


class Writer:
    """Counters into one database, by one thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.unknown = 0  # rows of kinds that this build does not know

    def marks(self, sources: Iterable[SourceKey]) -> dict[SourceKey, int]:
        """The last window of each that is in the rollups; 0 for those never heard of."""
        wanted = sorted(sources)
        with self._link.connection() as db, db.cursor() as cursor:
            cursor.execute("SELECT producer, epoch, seq FROM ops.progress")
            found = {(producer, epoch): seq for producer, epoch, seq in cursor.fetchall()}
        return {key: found.get(key, 0) for key in wanted}

    def apply(self, windows: Sequence[Deltas], losses: Sequence[Loss]) -> dict[SourceKey, int]:
        """Write what is next of each source; psycopg2.Error: nothing was written, or the marks say that it was."""
        self._link.ensure_days(row.minute for window in windows for row in window.rows)
        sources = sorted({(window.producer, window.epoch) for window in windows})
        with self._link.connection() as db, db.cursor() as cursor:
            moves = self._moves(cursor, sources, windows, losses)
            folded = fold(window for move in moves.values() for window in move.windows)
            stage.add(cursor, stage.TRAFFIC, folded.traffic)
            stage.add(cursor, stage.LATENCY, folded.latency)
            stage.add(cursor, stage.CAPS, folded.caps)
            stage.add(cursor, stage.ARMS, folded.arms)
            for (producer, epoch), move in moves.items():
                self._note(cursor, producer, epoch, move)
        self.unknown += folded.unknown
        return {key: move.mark for key, move in moves.items()}

    def _moves(
        self, cursor: Any, sources: list[SourceKey], windows: Sequence[Deltas], losses: Sequence[Loss]
    ) -> dict[SourceKey, Advance]:
        """Lock the marks, in order, and see what follows from them."""
        producers, epochs = [producer for producer, _ in sources], [epoch for _, epoch in sources]
        cursor.execute(
            "INSERT INTO ops.progress (producer, epoch) SELECT * FROM unnest(%s::text[], %s::bigint[]) ORDER BY 1, 2"
            " ON CONFLICT DO NOTHING",
            (producers, epochs),
        )
        cursor.execute(_LOCK, (producers, epochs))
        return {
            (producer, epoch): advance(
                seq,
                window_ms,
                (window for window in windows if (window.producer, window.epoch) == (producer, epoch)),
                (loss for loss in losses if (loss.producer, loss.epoch) == (producer, epoch)),
            )
            for producer, epoch, seq, window_ms in cursor.fetchall()
        }

    def _note(self, cursor: Any, producer: str, epoch: int, move: Advance) -> None:
        """The new mark, and what is lost before it."""
        for first, last, after_ms, before_ms in move.gaps:
            cursor.execute(
                "INSERT INTO ops.gap (producer, epoch, first_seq, last_seq, after_ms, before_ms)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (producer, epoch, first, last, after_ms, before_ms),
            )
        if move.windows:
            cursor.execute(
                "UPDATE ops.progress SET seq = %s, window_ms = %s, updated_at = clock_timestamp()"
                " WHERE producer = %s AND epoch = %s",
                (move.mark, move.window_ms, producer, epoch),
            )
