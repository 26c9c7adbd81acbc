"""The bank and real Postgres side by side: the same questions and batches to both, and every answer and row compared.

Mirror stands in for tests.reference.bank.Bank in a schedule, which so keeps the reference honest: LeaseOffice, Ledger
and Writer run on a database, whose idea of how old its totals are is set to the virtual clock's. Differs is raised at
the first difference. Money: int nano-USD. Times: seconds since 1970.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from psycopg2.extensions import connection as Connection

from aggregator.dedupe import Booking
from aggregator.fold import Loss
from aggregator.inbox import SourceKey
from aggregator.ledger import Batch, Ledger
from aggregator.postgres import Link
from aggregator.writer import Writer
from bidder.controller.leases import LeaseOffice
from bidder.events.schema import Deltas, NoticeKind
from bidder.money.wire import LeaseState, LeaseSync
from bidder.settings import Money
from tests.reference.bank import Bank, Campaign, Granted

_CLOCK_S = 0.001  # Postgres keeps microseconds
_LEASES = """
SELECT id, campaign, host, hour, day, amount_nano, take_until, settle_until, closed_at IS NULL, revision, wanted_nano,
    used_nano, limit_nano, plan_nano, elsewhere_nano FROM ledger.lease ORDER BY id
"""


class Differs(AssertionError):
    """Postgres says something else than the reference."""


def _row(lease: Granted) -> tuple[Any, ...]:
    out = lease.out
    return (
        *(
            lease.id,
            lease.campaign,
            out.host,
            out.hour,
            out.day,
            out.amount,
            out.take_until,
            out.settle_until,
            out.open,
        ),
        *(out.revision, out.wanted, out.used, out.limit, out.plan, out.elsewhere),
    )


class Mirror(Bank):
    """`db`: of the controller, an empty database with all migrations; `link`: of the aggregator, to the same."""

    def __init__(
        self, db: Connection, link: Link, spend_on: Mapping[int, NoticeKind], clock: Callable[[], float], money: Money,
        **more: Any,
    ) -> None:  # fmt: skip
        self._db, self._link = db, link
        self._real = LeaseOffice(money, clock)
        self._ledger = Ledger(link, spend_on)
        self._writer = Writer(link)
        self._seen = {"": ""}  # of the reference -> of Postgres
        self.compared = 0
        super().__init__(spend_on, clock, money, **more)
        with db, db.cursor() as cursor:
            cursor.execute("INSERT INTO config.advertiser (id) VALUES ('acme') ON CONFLICT DO NOTHING")
            cursor.execute("UPDATE config.revision SET revision = 1")

    def put(self, campaign: Campaign) -> None:
        super().put(campaign)
        cpm = f"{campaign.price // 10**6}.{campaign.price % 10**6:06d}"
        with self._db, self._db.cursor() as cursor:
            cursor.execute("UPDATE config.revision SET revision = %s", (self.revision,))
            cursor.execute(
                "INSERT INTO config.campaign (key, id, advertiser, status, body, total_nano, daily_nano, hourly_nano,"
                " even, timezone, revision) OVERRIDING SYSTEM VALUE"
                " SELECT %s, %s, key, 'active', jsonb_build_object('bid', jsonb_build_object('cpm_usd', %s)),"
                " %s, %s, %s, %s, %s, %s FROM config.advertiser WHERE id = 'acme'"
                " ON CONFLICT (id) DO UPDATE SET total_nano = EXCLUDED.total_nano, daily_nano = EXCLUDED.daily_nano,"
                " hourly_nano = EXCLUDED.hourly_nano, revision = EXCLUDED.revision",
                (
                    *(campaign.key, f"c-{campaign.key}", cpm, campaign.total, campaign.daily, campaign.hourly),
                    *(campaign.even, campaign.timezone, self.revision),
                ),
            )

    def forget(self) -> None:
        super().forget()
        self._real.forget()
        self._seen = {"": ""}

    def sync(self, request: LeaseSync, now: float) -> LeaseState:
        with self._db, self._db.cursor() as cursor:
            for name, stream in self.streams.items():
                cursor.execute(
                    "UPDATE ops.stream SET checked_at = clock_timestamp() - make_interval(secs => %s),"
                    " updated_at = clock_timestamp() - make_interval(secs => %s) WHERE stream = %s",
                    (self._clock() - stream.checked_at, self._clock() - stream.updated_at, name),
                )
        state = super().sync(request, now)
        theirs = msgspec.structs.replace(request, seen=self._seen.get(request.seen or "", ""))
        real = self._real.sync(self._db, theirs, datetime.fromtimestamp(now, UTC))
        self._seen[state.seen] = real.seen
        self._compare(state, real)
        return state

    def _compare(self, ours: LeaseState, real: LeaseState) -> None:
        """What a host is told, and the table of leases. Postgres may tell more again than the reference does."""
        for name in ("stale", "hosts", "heard", "begins", "ends"):
            self._same(name, getattr(ours, name), getattr(real, name))
        told = {lease.id: lease for lease in real.leases}
        for lease in ours.leases:
            also = told.get(lease.id)
            if also is None:
                raise Differs(f"lease {lease.id} is told by the reference only")
            for name in lease.__struct_fields__:
                mine, its = getattr(lease, name), getattr(also, name)
                if name.endswith("_s"):
                    mine = pytest.approx(mine, abs=_CLOCK_S)
                self._same(
                    f"lease {lease.id}, {name}", mine, [tuple(each) for each in its] if name == "closed" else its
                )
        if not set(ours.ended) <= {tuple(each) for each in real.ended}:
            raise Differs(f"ended: {ours.ended}, Postgres says {real.ended}")
        with self._db, self._db.cursor() as cursor:
            cursor.execute(_LEASES)
            self._same("ledger.lease", [_row(lease) for lease in self.leases.values()], cursor.fetchall())

    def _same(self, what: str, ours: Any, real: Any) -> None:
        self.compared += 1
        if ours != real:
            raise Differs(f"{what}: {ours} by the reference, {real} by Postgres")

    def position(self, stream: str) -> int:
        found = super().position(stream)
        self._same(f"position of {stream}", found, self._ledger.place(stream).position)
        return found

    def commit(self, batch: Batch) -> Booking:
        booking = super().commit(batch)
        real = self._ledger.commit(batch)
        self._same(
            "what is booked", (booking.rollup, booking.leases, booking.spends), (real.rollup, real.leases, real.spends)
        )
        return booking

    def apply(self, windows: Sequence[Deltas], losses: Sequence[Loss]) -> dict[SourceKey, int]:
        marks = super().apply(windows, losses)
        self._same("marks", marks, self._writer.apply(windows, losses))
        return marks

    def marks(self, sources: Iterable[SourceKey]) -> dict[SourceKey, int]:
        wanted = list(sources)
        found = super().marks(wanted)
        self._same("marks", found, self._writer.marks(wanted))
        return found

    def compare_books(self) -> None:
        """At the end: every table of facts."""
        with self._link.connection() as db, db.cursor() as cursor:
            cursor.execute("SELECT lease, minute, spent_nano, closed_nano FROM ledger.lease_minute ORDER BY 1, 2")
            ours = sorted((id, m, *sums) for id, minutes in self.minutes.items() for m, sums in minutes.items())
            self._same("ledger.lease_minute", ours, cursor.fetchall())
            cursor.execute("SELECT bid_id, kinds, closed, spent_nano FROM ledger.bid ORDER BY 1")
            found = [(bytes(bid), *rest) for bid, *rest in cursor.fetchall()]
            self._same("ledger.bid", sorted((b, s.kinds, s.closed, s.spent) for b, s in self.bids.items()), found)
            cursor.execute("SELECT name, balance_nano::bigint FROM ledger.balance WHERE name ~ '^(lease|media):'")
            balances = {name: nano for name, nano in self.balances().items() if name.startswith(("lease", "media"))}
            self._same("balances", {k: n for k, n in balances.items() if n}, {k: n for k, n in cursor.fetchall() if n})
            cursor.execute("SELECT coalesce(sum(balance_nano), 0)::bigint FROM ledger.balance")
            self._same("the sum of all balances", 0, cursor.fetchone()[0])
            cursor.execute("SELECT coalesce(sum(requests), 0)::bigint FROM rollup.traffic_minute")
            self._same("requests", sum(measures[0] for measures in self.traffic.values()), cursor.fetchone()[0])
            cursor.execute("SELECT coalesce(sum(spend_nano), 0)::bigint FROM rollup.notice_minute")
            self._same("spend", sum(measures[-1] for measures in self.rollup.values()), cursor.fetchone()[0])
