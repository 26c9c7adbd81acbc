"""Settings that are read again: what has changed, and what of it cannot change while the host runs.

changed(before, after) -> ["bidder.wait_budget_ms", "exchanges.acme"]; refuse_fixed(...) raises SettingsError, by name
"""

from collections.abc import Iterable
from dataclasses import fields

from bidder.settings import Settings, SettingsError

# Doors that others hold or look for, services, and files whose size follows from a setting. A name, or a whole section.
FIXED = {
    "bidder.listen",
    "bidder.bus_listen",
    "tracker.listen",
    "controller.listen",
    "controller.announce_listen",
    "monitor.listen",
    "postgres",
    "memcached",
    "stream",
    "users.capped",
    "users.segmented",
}


def changed(before: Settings, after: Settings) -> list[str]:
    """Names of settings that differ; of the exchanges, their rows."""
    found = []
    for section in fields(Settings):
        old, new = getattr(before, section.name), getattr(after, section.name)
        if section.name == "exchanges":
            names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        else:
            names = [key.name for key in fields(old) if getattr(old, key.name) != getattr(new, key.name)]
        found += [f"{section.name}.{name}" for name in names]
    return found


def refuse_fixed(names: Iterable[str]) -> None:
    """SettingsError where one of these cannot change while the host runs."""
    wrong = [name for name in names if name in FIXED or name.partition(".")[0] in FIXED]
    if wrong:
        raise SettingsError(
            f"{', '.join(wrong)}: cannot change while the host runs; nothing was changed: stop it and start it again"
        )
