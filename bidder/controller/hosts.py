"""Hosts: who asks for leases, and so shares budgets. Kept in Postgres, for a controller that starts anew knows none."""

from datetime import datetime, timedelta
from typing import Any

LIVES = timedelta(seconds=30)  # a host that has not asked for so long shares no more
AGAIN = timedelta(seconds=5)  # so often it is written down


class Hosts:
    """Of one database."""

    def __init__(self) -> None:
        self._asked: dict[str, datetime] = {}  # as written

    def count(self, cursor: Any, host: str, now: datetime) -> int:
        """How many hosts are there, now that this one asks? `now`: aware, may be set back."""
        asked = self._asked.get(host)
        if asked is None or not timedelta(0) <= now - asked < AGAIN:
            cursor.execute(
                "INSERT INTO ledger.host (host, asked_at) VALUES (%s, %s)"
                " ON CONFLICT (host) DO UPDATE SET asked_at = EXCLUDED.asked_at",
                (host, now),
            )
            cursor.execute("SELECT host, asked_at FROM ledger.host WHERE asked_at > %s", (now - LIVES,))
            self._asked = dict(cursor.fetchall())
        return sum(abs(now - asked) < LIVES for asked in self._asked.values())
