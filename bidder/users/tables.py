"""The tables of users as each process of a host opens them; the supervisor makes them."""

from pathlib import Path

from bidder._fast.frequency import FrequencyTable
from bidder.settings import Settings

FIRST_TOUCH = {"bid": 1, "no-bid": 2}  # FrequencyTable.first_touch


def caps_table(state: Path, settings: Settings, *, private: bool = False) -> FrequencyTable:
    """With the settings' holds, and asking the store where there is one. MappingError: there is no table yet."""
    table = FrequencyTable(state / "shm" / "frequency", private=private)
    table.holds = settings.users.holds_s
    table.first_touch = FIRST_TOUCH[settings.users.first_touch] if settings.memcached.servers else 0
    return table
