"""Shades: the table by which hosts shade bids, from what the last days' auctions could have been won for.

rollup.min_to_win_day -> a landscape a class, days fading -> shares (bidder/money/shading.py) -> wire.Shades
A class that is seldom seen has the landscape of all sizes of its exchange and format.
"""

import hashlib
import struct
from datetime import datetime
from typing import Any

from bidder.money.shading import STEPS, shares, wider
from bidder.money.wire import Shades

DAYS = 7
FADES = 0.7  # each day counts so much of the day after it
EVERY_S = 300.0
DAY_S = 86_400


class ShadeTable:
    """Made anew every few minutes, when it is asked for."""

    def __init__(self) -> None:
        self._made_at: datetime | None = None
        self._table = Shades("", [])

    def current(self, cursor: Any, now: datetime) -> Shades:
        """The newest."""
        if self._made_at is None or not 0 <= (now - self._made_at).total_seconds() < EVERY_S:
            self._table = read(cursor, now)
            self._made_at = now
        return self._table


def read(cursor: Any, now: datetime) -> Shades:
    """From Postgres."""
    today = int(now.timestamp() // DAY_S)
    cursor.execute(
        "SELECT class, bin, sum(auctions * %s ^ greatest(0, %s - day))::float FROM rollup.min_to_win_day"
        " WHERE day > %s GROUP BY class, bin",
        (FADES, today, today - DAYS),
    )
    seen: dict[int, dict[int, float]] = {}
    for key, bin, auctions in cursor.fetchall():
        for one in (key, wider(key)):
            bins = seen.setdefault(one, {})
            bins[bin] = bins.get(bin, 0.0) + auctions
    of_format = {key: shares(bins) for key, bins in seen.items() if key == wider(key)}
    found = {}
    for key in sorted(seen):
        if key not in of_format:
            of_class = shares(seen[key]) or of_format[wider(key)]
            if of_class is not None:
                found[key] = struct.pack(f"<{STEPS}H", *of_class)
    classes = list(found.items())
    digest = hashlib.sha256(b"".join(key.to_bytes(4, "big") + packed for key, packed in classes))
    return Shades(digest.hexdigest()[:16], classes)
