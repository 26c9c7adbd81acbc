"""Leases: a host's right to spend from one campaign's budget in one budget hour.

sync -> close what can no longer be settled, free what ended leases cannot cost any more -> grant
this hour's leases (and, shortly before it begins, the next hour's), renew those that are shorter than their hour
-> give hosts what they want of them, as far as budgets have it (shares.py) -> tell the host what has changed.

Promise: what all open leases of a campaign may cost, plus what closed ones did cost,
never exceeds its budgets; a budget cut below what is out holds as soon as hosts have synced.
One open lease a campaign, host and hour. Money: int nano-USD.
The cost of a sync goes with what has changed (due.py, listing.py) and what hosts ask for, not with all leases.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from bidder.controller import accounts, due, listing
from bidder.controller.budget import BudgetHour
from bidder.controller.curves import FLAT, Curves
from bidder.controller.hosts import Hosts
from bidder.controller.listing import Seen
from bidder.controller.shades import ShadeTable
from bidder.controller.shares import Account, Out, room
from bidder.controller.streams import Streams
from bidder.money.clock_watch import ClockWatch
from bidder.money.units import nano_from_usd
from bidder.money.wire import LeaseState, LeaseSync
from bidder.settings import Money

FRESH_S = 5.0  # totals older than this give nothing back
BATCH = 2_000  # campaigns looked at in one sync
CLOSINGS = 1_000  # leases closed in one; each frees money, so that amounts are worked out again

_CLOSE = """
UPDATE ledger.lease SET closed_at = %(now)s WHERE id IN (
    SELECT id FROM ledger.lease
    WHERE host = ANY(%(whose)s) AND closed_at IS NULL AND settle_until <= %(booked)s LIMIT %(most)s)
RETURNING campaign, host = %(host)s AND hour + interval '1 hour' > %(now)s
"""
_CEILINGS = """
UPDATE ledger.lease l SET amount_nano = v.ceiling FROM (VALUES %s) AS v (id, ceiling, host, now)
WHERE l.id = v.id AND l.host = v.host AND l.closed_at IS NULL AND l.take_until <= v.now AND l.amount_nano > v.ceiling
RETURNING l.campaign
"""
_HUNGRY = """
UPDATE ledger.lease SET revision = 0 WHERE campaign = ANY(%s) AND closed_at IS NULL AND take_until > %s
    AND (wanted_nano IS NULL OR wanted_nano > amount_nano) AND revision <> 0
"""
_WHOSE = "SELECT id, campaign FROM ledger.lease WHERE id = ANY(%s) AND host = %s AND closed_at IS NULL"


class LeaseOffice:
    """Grants and reports leases; one transaction a sync, one office at a time for the same campaign."""

    def __init__(self, money: Money, monotonic: Callable[[], float] | None = None) -> None:
        """`monotonic`: by which it is noticed that the clock was set; None: it never is."""
        self._money = money
        self._monotonic = monotonic
        self._watch = ClockWatch(money.release_after_s)
        self._unbudgeted = int(nano_from_usd(money.unbudgeted_hour_usd))
        self.forget()

    def forget(self) -> None:
        """On another connection: it may be another database, so hosts are told, and campaigns looked at, anew."""
        self._epoch = secrets.token_hex(8)
        self._looked: dict[str, due.Looked] = {}
        self._turns: dict[str, int] = {}  # of the last answer given to each host
        self._hosts = Hosts()
        self._curves = Curves()
        self._shades = ShadeTable()
        self._streams = Streams()

    def learned(self) -> None:
        """Traffic curves are not what they were: they are read again when they are needed."""
        self._curves = Curves()

    def sync(self, db: Connection, request: LeaseSync, now: datetime) -> LeaseState:
        """Answer one host. `now`: aware, of the controller's clock; hosts get durations only."""
        host = request.host
        in_parts = request.seen is not None  # else it is a host that can only take everything at once
        seen = Seen.read(request.seen or "", self._epoch)
        turn = self._turns.get(host, 0)
        heard = not in_parts or (turn > 0 and seen.turn == turn)
        with db, db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('outbid leases'))")
            hosts = self._hosts.count(cursor, host, now)
            behind_s, closes_behind_s = self._streams.behind_s(cursor, now)
            crowded, early = self._free(cursor, host, request.ceilings if heard else [], closes_behind_s, now)
            before = self._looked.get(host, due.Looked())
            before = replace(before, waiting=[*before.waiting, *early])
            renewed_s = self._money.take_for_s / 2 if self._money.take_for_s < due.HOUR_S else None
            look = due.look(cursor, host, request.healthy, now, before, BATCH if in_parts else None, renewed_s)
            wants = {lease: (amount, used) for lease, amount, used in (request.wants or [])} if heard else {}
            self._grant(cursor, request, look.campaigns, wants, hosts, now)
            open_minute = int((now.timestamp() - self._money.release_after_s) // 60) - 1
            shades = self._shades.current(cursor, now) if request.shades is not None else None
            told = listing.tell(cursor, host, seen, now, open_minute, listing.PAGE if in_parts else None)
        self._looked[host] = look.after  # not before it is committed
        self._turns[host] = turn + 1
        return LeaseState(
            leases=told.leases,
            stale=behind_s > FRESH_S,
            revision=look.after.reworked,
            ended=told.ended,
            begins=told.begins,
            ends=told.ends,
            more=told.more or look.more or crowded,
            seen=str(told.seen.at(turn + 1)),
            partial=told.more,
            hosts=hosts,
            heard=heard,
            shades=shades if shades is not None and shades.version != request.shades else None,
        )

    def _free(
        self, cursor: Any, host: str, ceilings: list[tuple[int, int]], behind_s: float, now: datetime
    ) -> tuple[bool, set[int]]:
        """What ended leases will not cost is free for the leases that are open, whose amounts are worked out again.

        Are there more to close than fit into one sync? And campaigns whose lease was closed before its hour is over.
        """
        closed = []
        if self._clock_tells(now) and behind_s < float("inf"):
            booked = now - timedelta(seconds=max(0.0, behind_s - FRESH_S))
            whose = [host, *self._hosts.silent]  # who never asks again has no other to do it
            cursor.execute(_CLOSE, {"now": now, "booked": booked, "host": host, "whose": whose, "most": CLOSINGS})
            closed = cursor.fetchall()
        crowded = len(closed) == CLOSINGS
        freed = {campaign for campaign, _ in closed}
        if ceilings:
            rows = [(lease, max(0, ceiling), host, now) for lease, ceiling in ceilings]
            freed |= {campaign for (campaign,) in execute_values(cursor, _CEILINGS, rows, fetch=True)}
        if freed:
            cursor.execute(_HUNGRY, (sorted(freed), now))
        return crowded, {campaign for campaign, early in closed if early}

    def _clock_tells(self, now: datetime) -> bool:
        """Where our clock was set, nothing closes by it until the reservations that are out have come back."""
        return self._monotonic is None or self._watch.tells(now.timestamp(), self._monotonic())

    def _grant(
        self, cursor: Any, request: LeaseSync, campaigns: set[int], wants: dict[int, tuple[int, int]], hosts: int,
        now: datetime,
    ) -> None:  # fmt: skip
        """New leases and longer ones (where the host is healthy), and new amounts where something asks for them."""
        keys = set(campaigns)
        if wants:
            cursor.execute(_WHOSE, (sorted(wants), request.host))
            keys |= {campaign for _, campaign in cursor.fetchall()}
        if not keys:
            return
        if request.wants is None:
            hosts = 1  # it never asks for more
        books = accounts.read(cursor, keys, now, self._unbudgeted)
        curves = self._curves.of(cursor, [key for key, account in books.accounts.items() if account.campaign.even])
        zones = {account.campaign.timezone for account in books.accounts.values()}
        hours = {zone: due.hours_of(now, zone) for zone in zones}
        freed = []
        for key, account in books.accounts.items():
            account.curve = curves.get(key, FLAT)
            coming = hours[account.campaign.timezone]
            mine = [out for out in account.outs if out.host == request.host and out.open]
            told = {out.hour for out in mine if out.lease in wants}
            if _take_in(mine, wants):
                freed.append(key)
            if account.campaign.runs and request.healthy:
                self._renew(mine, coming, now)
            if account.campaign.runs:
                told |= self._work_out(account, mine, coming, request, key in campaigns, hosts, now)
            for hour in coming:
                if hour.start in told:
                    account.tell(hour)
        accounts.write(cursor, books)
        if freed:
            cursor.execute(_HUNGRY, (freed, now))

    def _renew(self, mine: Iterable[Out], hours: list[BudgetHour], now: datetime) -> None:
        """Leases that are shorter than their hour go on, from half of their time on.

        Not once they could have been closed, though a stream that is behind keeps them open: their host may have
        forgotten them, and would take one that it hears of again, without a bill yet, for untouched.
        """
        ends = {hour.start: hour.end for hour in hours}
        for out in mine:
            end = ends.get(out.hour)
            until = max(out.hour, now) + timedelta(seconds=self._money.take_for_s)
            near = (out.take_until - now).total_seconds() <= self._money.take_for_s / 2
            if end is None or not near or min(end, until) <= out.take_until or out.settle_until <= now:
                continue
            if not out.takes:
                out.takes, out.revision, out.wanted = True, 0, None
            out.take_until = min(end, until)
            out.settle_until = out.take_until + timedelta(seconds=self._money.settle_for_s)

    def _work_out(
        self, account: Account, mine: list[Out], hours: list[BudgetHour], request: LeaseSync, looked: bool, hosts: int,
        now: datetime,
    ) -> set[datetime]:  # fmt: skip
        """The hours in which something was done."""
        done = set()
        for hour in hours:
            out = next((out for out in mine if out.hour == hour.start), None)
            if out is None:
                if looked and request.healthy:
                    account.outs.append(self._fresh(account, hour, request.host, hosts, now))
                    done.add(hour.start)
                continue
            asks = out.hungry and out.wanted is not None and request.healthy
            if out.takes and (out.revision < account.campaign.revision or asks):
                account.rework(out, hour, hosts, request.wants is not None)
                done.add(hour.start)
        return done

    def _fresh(self, account: Account, hour: BudgetHour, host: str, hosts: int, now: datetime) -> Out:
        most = account.most(hour, [])
        take_until = min(hour.end, max(hour.start, now) + timedelta(seconds=self._money.take_for_s))
        return Out(
            lease=None,
            host=host,
            hour=hour.start,
            day=hour.day,
            take_until=take_until,
            settle_until=take_until + timedelta(seconds=self._money.settle_for_s),
            open=True,
            takes=True,
            tilt=account.curve.tilt(hour.start),
            amount=room(most, hosts, account.campaign.price) if account.campaign.budgeted else most,
            spent=0,
            revision=account.campaign.revision,
        )


def _take_in(mine: Iterable[Out], wants: dict[int, tuple[int, int]]) -> bool:
    """What the host says of its leases; True where it has handed something back."""
    lowered = False
    for out in mine:
        if out.lease not in wants or not out.takes:
            continue
        out.wanted, out.used = wants[out.lease]
        if out.wanted < out.amount:
            out.amount = max(0, out.wanted)
            lowered = True
    return lowered
