"""Traffic curves: what part of a week's traffic comes in which hour? For the plans of even budgets.

learn() once an hour: rollup.traffic_minute -> curves of (exchange, country), and where each campaign bids
Curves.of(): a campaign's curve is that of the places where it bids, each as likely to get a bid as it was so far, so
its own pacing does not teach it when traffic comes. A campaign that never bid has the pool's curve: all traffic. With
less than a day learned, every curve is flat. An hour of the week not seen yet is as the same hour of other days.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2.extensions import connection as Connection

WEEK = 168
MEAN = 1_000  # of a curve's weights
LEAST = 100  # a weight: no hour is planned to have nothing, or nobody would find out that it has something
MOST_TILT = 0.5
LATE = timedelta(minutes=5)  # counters of an hour are waited for
HOUR = timedelta(hours=1)
BACK = timedelta(days=14)  # learned from, where nothing was learned yet
SINCE = datetime(2026, 1, 1, tzinfo=UTC)

Place = tuple[int, int]  # exchange, country


def hour_of_week(at: datetime) -> int:
    """0: Monday 00:00 UTC."""
    at = at.astimezone(UTC)
    return at.weekday() * 24 + at.hour


@dataclass(frozen=True, slots=True)
class Curve:
    """Weights of the hours of a week, from Monday 00:00 UTC."""

    weights: Sequence[int]

    def of(self, start: datetime) -> int:
        """Of the hour that begins then; one off the whole hour is a mixture of two. More than 0."""
        return self._at(hour_of_week(start), start.astimezone(UTC).minute)

    def _at(self, hour: int, minutes: int) -> int:
        """Of the hour that begins so many minutes into that hour of a week."""
        return max(1, (self.weights[hour % WEEK] * (60 - minutes) + self.weights[(hour + 1) % WEEK] * minutes) // 60)

    def until(self, start: datetime, hours: int) -> int:
        """Of so many hours from then on, together; at least that of the first."""
        first, minutes = hour_of_week(start), start.astimezone(UTC).minute
        weeks, rest = divmod(max(1, hours), WEEK)
        total = sum(self._at(first + ahead, minutes) for ahead in range(rest))
        return total + (weeks * sum(self._at(hour, minutes) for hour in range(WEEK)) if weeks else 0)

    def tilt(self, start: datetime) -> float:
        """How much livelier that hour begins than it ends, if traffic moves evenly from hour to hour."""
        slope = (self.of(start - HOUR) - self.of(start + HOUR)) / (4 * self.of(start))
        return max(-MOST_TILT, min(MOST_TILT, slope))


FLAT = Curve((MEAN,) * WEEK)


def curve(requests: Mapping[int, float], seen: Iterable[int]) -> Curve:
    """From requests by hour of the week. `seen`: hours that were learned from; one without requests had none."""
    known = set(seen)
    if len({hour % 24 for hour in known}) < 24:
        return FLAT
    hours: list[float] = []
    for hour in range(WEEK):
        alike = [hour] if hour in known else [other for other in known if other % 24 == hour % 24]
        hours.append(sum(requests.get(other, 0.0) for other in alike) / len(alike))
    total = sum(hours)
    if total <= 0:
        return FLAT
    return Curve(tuple(LEAST + round((MEAN - LEAST) * WEEK * hour / total) for hour in hours))


class Curves:
    """All curves there are when one is first asked for; those of campaigns are worked out as they are."""

    def __init__(self) -> None:
        self._loaded = False
        self._places: dict[Place, dict[int, float]] = {}
        self._seen: set[int] = set()
        self._pool = FLAT
        self._campaigns: dict[int, Curve] = {}

    def _load(self, cursor: Any) -> None:
        cursor.execute("SELECT exchange, country, hour_of_week, requests FROM rollup.traffic_curve")
        pool: dict[int, float] = {}
        for exchange, country, hour, requests in cursor:
            self._places.setdefault((exchange, country), {})[hour] = requests
            pool[hour] = pool.get(hour, 0.0) + requests
        cursor.execute("SELECT DISTINCT date_trunc('hour', hour, 'UTC') FROM rollup.learned_hour")
        self._seen = {hour_of_week(hour) for (hour,) in cursor}
        self._pool = curve(pool, self._seen)

    def of(self, cursor: Any, campaigns: Iterable[int]) -> Mapping[int, Curve]:
        """Of each of these campaigns, by key."""
        wanted = set(campaigns)
        if wanted and not self._loaded:
            self._load(cursor)
            self._loaded = True
        new = wanted - self._campaigns.keys() if self._pool is not FLAT else set()
        if new:
            cursor.execute(
                "SELECT campaign, exchange, country, bids FROM rollup.campaign_reach WHERE campaign = ANY(%s)",
                (sorted(new),),
            )
            reach: dict[int, dict[Place, float]] = {}
            for campaign, exchange, country, bids in cursor:
                reach.setdefault(campaign, {})[exchange, country] = bids
            self._campaigns |= {campaign: self._mixed(reach.get(campaign, {})) for campaign in new}
        return {campaign: self._campaigns.get(campaign, self._pool) for campaign in wanted}

    def _mixed(self, reach: Mapping[Place, float]) -> Curve:
        requests: dict[int, float] = {}
        for place, bids in reach.items():
            hours = self._places.get(place, {})
            total = sum(hours.values()) or 1.0
            for hour, seen in hours.items():
                requests[hour] = requests.get(hour, 0.0) + seen * bids / total
        return curve(requests, self._seen) if sum(requests.values()) > 0 else self._pool


def due(cursor: Any, now: datetime) -> datetime | None:
    """The oldest hour that is over and was not learned from."""
    cursor.execute("SELECT max(hour) FROM rollup.learned_hour")
    last: datetime | None = cursor.fetchone()[0]
    if last is None:
        cursor.execute("SELECT min(minute) FROM rollup.traffic_minute WHERE minute >= %s", (now - BACK,))
        first = cursor.fetchone()[0]
        if first is None:
            return None
        last = first.replace(minute=0, second=0, microsecond=0) - HOUR
    last = max(last, (now - BACK).replace(minute=0, second=0, microsecond=0))
    return last + HOUR if last + 2 * HOUR + LATE <= now else None


def learn(db: Connection, now: datetime) -> bool:
    """From one hour, where there is one; False: there is none. In a transaction of its own, once each hour."""
    with db, db.cursor() as cursor:
        hour = due(cursor, now)
        if hour is None:
            return False
        cursor.execute("INSERT INTO rollup.learned_hour VALUES (%s) ON CONFLICT DO NOTHING", (hour,))
        if cursor.rowcount == 0:
            return True
        ask = {
            "hour": hour,
            "end": hour + HOUR,
            "of_week": hour_of_week(hour),
            "growth": 2 ** ((hour - SINCE) / timedelta(weeks=1)),
        }
        cursor.execute(_FADE, ask)
        cursor.execute(_REQUESTS, ask)
        cursor.execute(_BIDS, ask)
    return True


_FADE = "UPDATE rollup.traffic_curve SET requests = requests / 2 WHERE hour_of_week = %(of_week)s"
_REQUESTS = """
INSERT INTO rollup.traffic_curve AS c (exchange, country, hour_of_week, requests)
SELECT exchange, country, %(of_week)s, sum(requests) FROM rollup.traffic_minute
WHERE minute >= %(hour)s AND minute < %(end)s AND requests > 0 GROUP BY exchange, country
ON CONFLICT (exchange, country, hour_of_week) DO UPDATE SET requests = c.requests + EXCLUDED.requests / 2
"""
_BIDS = """
INSERT INTO rollup.campaign_reach AS r (campaign, exchange, country, bids)
SELECT campaign, exchange, country, sum(bids) * %(growth)s FROM rollup.traffic_minute
WHERE minute >= %(hour)s AND minute < %(end)s AND bids > 0 AND campaign > 0 GROUP BY campaign, exchange, country
ON CONFLICT (campaign, exchange, country) DO UPDATE SET bids = r.bids + EXCLUDED.bids
"""
