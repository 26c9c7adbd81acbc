"""Which campaigns must be looked at for a host's leases now? Only those for which something can have changed.

look() -> campaigns that were edited, whose budget hour begins, whose flight starts, or to which money came free;
the first time all of them. It never says which leases are due, so one campaign too many costs only a look.
An office that forgets what it has looked at looks at all of them again. Very many take several answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bidder.controller import store
from bidder.controller.budget import BudgetHour

HOUR_S = 3_600
AHEAD_S = 20.0  # the next hour's lease is granted this long before it begins

RUNNING = """c.status = 'active'
  AND (c.flight_start IS NULL OR c.flight_start < %(horizon)s) AND (c.flight_end IS NULL OR c.flight_end > %(now)s)"""

_ALL = f"SELECT c.key, c.timezone FROM config.campaign c WHERE {RUNNING} ORDER BY c.key"
_EDITED = f"SELECT c.key, c.timezone FROM config.campaign c WHERE c.revision > %(revision)s AND {RUNNING}"
_STARTING = f"SELECT c.key, c.timezone FROM config.campaign c WHERE c.flight_start >= %(before)s AND {RUNNING}"
_IN_ZONES = f"SELECT c.key, c.timezone FROM config.campaign c WHERE c.timezone = ANY(%(zones)s) AND {RUNNING}"
_FREED = f"""
SELECT DISTINCT c.key, c.timezone FROM ledger.lease l JOIN config.campaign c ON c.key = l.campaign
WHERE l.host = %(host)s AND l.closed_at IS NULL AND l.revision = 0 AND l.take_until > %(now)s AND {RUNNING}
LIMIT %(most)s
"""
_ENDING = f"""
SELECT DISTINCT c.key, c.timezone FROM ledger.lease l JOIN config.campaign c ON c.key = l.campaign
WHERE l.host = %(host)s AND l.closed_at IS NULL AND l.take_until <= %(renew)s
  AND l.take_until < l.hour + interval '1 hour' AND l.hour > %(now)s - interval '1 hour' AND {RUNNING}
LIMIT %(most)s
"""
_OUT = f"""
SELECT DISTINCT c.key, c.timezone FROM config.campaign c JOIN ledger.lease l ON l.campaign = c.key
WHERE c.revision > %(revision)s AND l.host = %(host)s AND l.closed_at IS NULL AND l.take_until > %(now)s
  AND l.revision < c.revision AND {RUNNING}
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """How far the campaigns have been looked at for one host."""

    at: datetime | None = None  # when it could last be granted leases; None: not yet
    revision: int = 0  # campaigns up to this one have been looked at then, or are `waiting`
    reworked: int = 0  # up to this one, amounts of leases that are out are right
    hours: Mapping[str, datetime] = field(default_factory=dict)  # zone -> start of the newest budget hour looked at
    waiting: Sequence[int] = ()  # keys to be looked at in the next answers


@dataclass(frozen=True, slots=True)
class Look:
    """What to look at, and how far that will be once it is committed."""

    campaigns: set[int]
    after: Looked
    more: bool


def hours_of(now: datetime, timezone: str) -> list[BudgetHour]:
    """The budget hours of a zone that leases are granted for: this one, and the next shortly before it begins."""
    current = BudgetHour.at(now, timezone)
    near = (current.end - now).total_seconds() <= AHEAD_S
    return [current, *([BudgetHour.at(current.end, timezone)] * near)]


def look(
    cursor: Any, host: str, healthy: bool, now: datetime, before: Looked, most: int | None, renew_s: float | None = None
) -> Look:
    """At most about `most` campaigns (None: all at once). An unhealthy host gets no leases, only new amounts.

    `renew_s`: leases that end before their hour are looked at so long before; None: there are none.
    """
    revision = store.newest_revision(cursor)
    ask = {"host": host, "now": now, "horizon": now + timedelta(seconds=AHEAD_S), "most": most}
    freed = _keys(cursor, _FREED, ask)
    crowded = most is not None and len(freed) >= most
    if not healthy:
        out = _keys(cursor, _OUT, ask | {"revision": before.reworked})
        return Look({*freed, *out}, replace(before, reworked=revision), crowded)
    if renew_s is not None:
        ending = _keys(cursor, _ENDING, ask | {"renew": now + timedelta(seconds=renew_s)})
        crowded |= most is not None and len(ending) >= most
        freed |= ending
    if before.at is None or now < before.at:  # a clock that was set back may be in an hour never looked at
        found = _keys(cursor, _ALL, ask)
        hours = _newest(now, found.values())
        waiting = [*found]
    else:
        edited = _keys(cursor, _EDITED, ask | {"revision": before.revision})
        hours = {**_newest(now, edited.values()), **_newest(now, before.hours)}
        begun = [zone for zone, hour in before.hours.items() if hours[zone] > hour]
        starting = _keys(cursor, _STARTING, ask | {"before": before.at + timedelta(seconds=AHEAD_S)})
        in_zones = _keys(cursor, _IN_ZONES, ask | {"zones": begun}) if begun else {}
        hours |= _newest(now, starting.values())
        waiting = [*edited, *before.waiting, *starting, *in_zones]
    now_due, later = (waiting, []) if most is None else (waiting[:most], waiting[most:])
    after = Looked(
        at=now,
        revision=revision,
        reworked=before.reworked if later else revision,
        hours=hours,
        waiting=later,
    )
    return Look({*freed, *now_due}, after, crowded or bool(later))


def _keys(cursor: Any, sql: str, ask: Mapping[str, object]) -> dict[int, str]:
    """key -> zone of campaigns that run."""
    cursor.execute(sql, ask)
    return dict(cursor.fetchall())


def _newest(now: datetime, zones: Any) -> dict[str, datetime]:
    return {zone: hours_of(now, zone)[-1].start for zone in set(zones)}
