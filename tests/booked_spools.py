"""The ledger of a database with the spools of some hosts, booked when a test says so."""

from pathlib import Path
from typing import Any

from aggregator.ledger import Ledger
from aggregator.migrate import migrate
from aggregator.money import MoneyIntake
from aggregator.postgres import Link
from aggregator.sources import SpoolSource
from bidder.events.schema import NoticeKind
from bidder.events.spool import SpoolReader
from bidder.ops import log

RULES = {1: NoticeKind.BILL, 2: NoticeKind.WIN, 20: NoticeKind.IMPRESSION}


class Books:
    """`spools`: directories, each of one host."""

    def __init__(self, dsn: str, *spools: Path) -> None:
        migrate(dsn)
        self._link = Link(dsn, "test")
        ledger = Ledger(self._link, RULES)
        self._intakes = [
            MoneyIntake(lambda spool=spool: SpoolSource(SpoolReader(spool)), ledger, self._link, log.get("test"))  # type: ignore[misc]
            for spool in spools
        ]

    def book(self) -> None:
        """All that is in the streams."""
        for intake in self._intakes:
            while intake.step():
                pass

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self._link.connection() as db, db.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def spent(self) -> int:
        """In rollups, ledger and states of bids: the same."""
        [(rollup,)] = self.query("SELECT coalesce(sum(spend_nano), 0)::bigint FROM rollup.notice_minute")
        [(bids,)] = self.query("SELECT coalesce(sum(spent_nano), 0)::bigint FROM ledger.bid")
        balances = dict(self.query("SELECT kind, sum(balance_nano)::bigint FROM ledger.balance GROUP BY 1"))
        media, sigma = balances.get("media", 0), sum(balances.values())
        assert (rollup, media, sigma) == (bids, bids, 0)
        return int(bids)

    def close(self) -> None:
        self._link.broken()
