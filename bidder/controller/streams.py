"""Streams: how far behind what trackers have acknowledged are the totals in Postgres?

An aggregator writes into `ops.stream` when it began to look for what its stream has that is not booked, and found
nothing. So all that any tracker acknowledged until the oldest of these times is booked. A stream that nobody has spoken
of for long counts no more: its host is lost, or cut off. What it holds then is the most that can be spent twice for it.
All times here are the database's: clocks of controllers and hosts may be wrong.
"""

from datetime import datetime, timedelta
from typing import Any

RELEASES_S = 600.0  # a stream silent for longer keeps no reservation from coming back
CLOSES_S = 3_600.0  # nor, for longer than this, a lease from being closed
WARM_UP_S = 10.0  # after Postgres was away every aggregator has been there again

_BEHIND = """
SELECT extract(epoch FROM max(behind) FILTER (WHERE silent < %(releases)s))::float8,
    extract(epoch FROM max(behind) FILTER (WHERE silent < %(closes)s))::float8, count(*)
FROM (
    SELECT clock_timestamp() - coalesce(checked_at, 'epoch') AS behind, clock_timestamp() - updated_at AS silent
    FROM ops.stream
) AS s
"""


class Streams:
    """Of one connection to the database; `now` is the caller's clock, and may be set forth and back."""

    def __init__(self) -> None:
        self._first: datetime | None = None

    def behind_s(self, cursor: Any, now: datetime) -> tuple[float, float]:
        """How old totals are, for reservations that come back and for leases that close; infinite: nobody knows."""
        if self._first is None or now < self._first:
            self._first = now
        if (now - self._first).total_seconds() < WARM_UP_S:
            return float("inf"), float("inf")
        cursor.execute(_BEHIND, {"releases": timedelta(seconds=RELEASES_S), "closes": timedelta(seconds=CLOSES_S)})
        releases, closes, streams = cursor.fetchone()
        if not streams:  # nothing was ever acknowledged
            closes = 0.0
        return float("inf") if releases is None else releases, float("inf") if closes is None else closes
