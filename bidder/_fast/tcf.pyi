"""TC strings, for tests and tools: it grants exactly what the worker takes as granted."""

from collections.abc import Collection
from typing import Protocol, TypedDict

class ConsentRow(Protocol):
    """What consent wants of `bidder.settings.Consent`."""

    @property
    def vendor_id(self) -> int: ...
    @property
    def consent_purposes(self) -> Collection[int]: ...
    @property
    def interest_purposes(self) -> Collection[int]: ...
    @property
    def flexible_purposes(self) -> Collection[int]: ...
    @property
    def precise_geo(self) -> bool: ...
    @property
    def contextual(self) -> bool: ...

class Grant(TypedDict):
    purposes: list[int]
    """For which there is a legal basis: the user's consent, or a legitimate interest that nobody objected to."""
    precise_geo: bool
    """Special feature 1 is declared, and the user opted in."""
    forbidden: bool
    """The publisher forbids us purpose 2: to choose an advertisement at all."""

def grant_of(text: bytes, settings: ConsentRow) -> Grant | None:
    """What the string grants us; None where it is no TC string of version 2 or damaged, or we have no vendor id."""
