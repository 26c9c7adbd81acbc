"""Hosts: who asks for leases, and so shares budgets. Kept in Postgres, for a controller that starts anew knows none."""

from datetime import datetime, timedelta
from typing import Any

LIVES = timedelta(seconds=30)  # a host that has not asked for so long shares no more
AGAIN = timedelta(seconds=5)  # so often it is written down


class Hosts:
    """Of one database."""

    def __init__(self) -> None:
        self._asked: dict[str, datetime] = {}  # as written
        self.silent: list[str] = []  # that have asked before, and do not any more

    def count(self, cursor: Any, host: str, now: datetime) -> int:
        """How many hosts are there, now that this one asks? `now`: aware, may be set back."""
        asked = self._asked.get(host)
        if asked is None or not timedelta(0) <= now - asked < AGAIN:
            cursor.execute(
                "INSERT INTO ledger.host (host, asked_at) VALUES (%s, %s)"
                " ON CONFLICT (host) DO UPDATE SET asked_at = EXCLUDED.asked_at",
                (host, now),
            )
            cursor.execute("SELECT host, asked_at FROM ledger.host")
            known = dict(cursor.fetchall())
            self._asked = {name: at for name, at in known.items() if abs(now - at) < LIVES}
            self.silent = sorted(known.keys() - self._asked.keys())
        return sum(abs(now - asked) < LIVES for asked in self._asked.values())
