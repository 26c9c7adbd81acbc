"""What a day and an hour of a zone are, minute by minute: slow, obvious, the truth for budgets."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def day_of(moment: datetime, zone: str) -> date:
    """The date that a clock on the wall of `zone` shows."""
    return moment.astimezone(ZoneInfo(zone)).date()


def end_of_day(moment: datetime, zone: str) -> datetime:
    """The first minute that belongs to the next day. `moment`: on a whole minute."""
    today, at = day_of(moment, zone), moment
    while day_of(at, zone) == today:
        at += MINUTE
    return at


def start_of_day(moment: datetime, zone: str) -> datetime:
    """The first minute of the day."""
    today, at = day_of(moment, zone), moment
    while day_of(at - MINUTE, zone) == today:
        at -= MINUTE
    return at
