"""Budgets: what may one lease cost, in the budget hour of its campaign's zone? Money: int nano-USD."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from bidder.controller.curves import FLAT, Curve


@dataclass(frozen=True, slots=True)
class BudgetHour:
    """The hour of a campaign's zone in which `now` falls."""

    start: datetime  # UTC
    end: datetime  # UTC
    day: date
    left_in_day: int  # whole hours from `start` to the end of the day, this one included; >= 1

    @staticmethod
    def at(now: datetime, timezone: str) -> "BudgetHour":
        """Works on days of 23 and 25 hours, and in zones off the whole hour."""
        local = now.astimezone(ZoneInfo(timezone))
        start = now - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), ZoneInfo(timezone))
        left = round((midnight.astimezone(UTC) - start).total_seconds() / 3600)
        return BudgetHour(start=start, end=start + timedelta(hours=1), day=local.date(), left_in_day=max(1, left))


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one campaign (None: no such limit) and what is already spoken for outside the lease in question."""

    total: int | None
    daily: int | None
    hourly: int | None
    even: bool
    flight_end: datetime | None
    committed_total: int
    committed_day: int  # `committed_hour` among it
    committed_hour: int


PARKED = 4  # an even hour may reserve so much more than it plans to spend: 1 / PARKED of it


def amount_of(budget: Budget, hour: BudgetHour, unbudgeted: int, curve: Curve = FLAT, *, planned: bool = False) -> int:
    """What one lease may cost. An even budget is spread over the hours that are left, as traffic comes in them.

    What is reserved and not billed in the end comes back after the hour. So that the hour can be spent as planned all
    the same, its leases may cost more than the plan, which hosts pace by; never more than the budget.
    `planned`: the plan, without that.
    """
    if budget.total is None and budget.daily is None and budget.hourly is None:
        return unbudgeted
    limits = []
    if budget.hourly is not None:
        limits.append(budget.hourly - budget.committed_hour)
    if budget.daily is not None:
        left = budget.daily - budget.committed_day
        if budget.even:  # of the hour's part, some may be other hosts'
            left = _even(left + budget.committed_hour, hour, hour.left_in_day, curve, planned) - budget.committed_hour
        limits.append(left)
    if budget.total is not None:
        left = budget.total - budget.committed_total
        if budget.even and budget.daily is None and budget.flight_end is not None:
            hours = max(1, -(-(budget.flight_end - hour.start) // timedelta(hours=1)))
            left = _even(left + budget.committed_hour, hour, hours, curve, planned) - budget.committed_hour
        limits.append(left)
    return max(0, min(limits))


def _even(left: int, hour: BudgetHour, hours: int, curve: Curve, planned: bool) -> int:
    part = _part(left, hour, hours, curve)
    return part if planned else min(left, part + part // PARKED)


def _part(left: int, hour: BudgetHour, hours: int, curve: Curve) -> int:
    """Of what is left for so many hours, this one's; rounded up."""
    return -(-left * curve.of(hour.start) // curve.until(hour.start, hours))
