"""Arms of experiments: ranges of buckets, as the manifest has them and as the book does.

config.experiment_arm -> ArmRange, in the manifest -> packed_arms() -> book -> the next request
Buckets: xxh32 of the request's key, mod 10,000 (docs/releases.md). Arms 0 to 2 belong to builds, not to experiments.
"""

import struct
from collections.abc import Iterable

import msgspec

from bidder.features import NAMES, mask_of

BUCKETS = 10_000
FIRST_KEY, LAST_KEY = 3, 255
_ROW = struct.Struct("<IIII")  # ArmRec in bidder/_fast/book.pxd


class ArmRange(msgspec.Struct, frozen=True):
    """One arm of an experiment that runs. The ranges of two arms never overlap."""

    key: int
    first: int  # bucket
    buckets: int
    off: list[str]  # features; those that this build does not know are on in it


def packed_arms(arms: Iterable[ArmRange]) -> bytes:
    """As the book has them: by bucket, ascending."""
    rows = sorted((arm.first, arm.first + arm.buckets, arm.key, mask_of(set(arm.off) & set(NAMES))) for arm in arms)
    return b"".join(_ROW.pack(*row) for row in rows)
