"""Features: parts of the bidder that can be off, for all requests or in an arm of an experiment.

Bits of the words `features_off` of the board and of a book's arms; `_fast/features.pxd` has the same numbers, and
docs/switches.md says what a request gets while one is off. A number never changes.
"""

from collections.abc import Iterable
from enum import IntFlag


class Feature(IntFlag):
    """Its name, in lower case, is the one that operators type."""

    SHADING = 1  # bids are shaded
    SEGMENTS = 2  # users are in segments, the exchange's and ours
    MULTIPLIERS = 4  # campaigns' multipliers change their prices
    VIDEO = 8
    AUDIO = 16
    NATIVE = 32
    DEALS = 64  # imps offer deals
    PODS = 128  # slots of pods are bid on


NAMES = tuple(str(feature.name).lower() for feature in Feature)


def mask_of(names: Iterable[str]) -> int:
    """Bits of these features; ValueError names one that there is not."""
    mask = 0
    for name in names:
        if name not in NAMES:
            raise ValueError(f"no feature {name!r}; there are {', '.join(NAMES)}")
        mask |= Feature[name.upper()]
    return mask


def names_of(mask: int) -> list[str]:
    """Names of the bits that are set; bits of later builds have none."""
    return [name for name, feature in zip(NAMES, Feature, strict=True) if mask & feature]
