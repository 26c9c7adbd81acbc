"""Names of the numbers that rollups carry, from where code declares them into `rollup.name`.

Written on every migration, so reports know a new reason as soon as a build that can count it runs.
"""

from collections.abc import Iterator
from typing import Any

from bidder.events.schema import NoticeFlag, NoticeKind
from bidder.openrtb.codes import FORMATS, OS_NAMES
from bidder.outcome import Reason

ARMS = {0: "stable", 1: "canary", 2: "baseline"}  # those of experiments are named where they are made


def declared() -> Iterator[tuple[str, int, str]]:
    """(dimension, key, name) of everything that code declares."""
    for dimension, names in (("arm", ARMS), ("format", FORMATS), ("os", dict(enumerate(OS_NAMES)))):
        for key, name in names.items():
            yield dimension, key, name
    for reason in Reason:
        yield "reason", reason.value, reason.name
    for kind in NoticeKind:
        yield "kind", kind.value, kind.name.lower()
    for flag in NoticeFlag:
        yield "flag", flag.value, flag.name.lower() if flag.name else ""


def write(cursor: Any) -> None:
    """Insert what is new, rename what was renamed; rows of other builds stay."""
    for row in sorted(declared()):
        cursor.execute(
            "INSERT INTO rollup.name AS n (dimension, key, name) VALUES (%s, %s, %s)"
            " ON CONFLICT (dimension, key) DO UPDATE SET name = EXCLUDED.name WHERE n.name <> EXCLUDED.name",
            row,
        )
