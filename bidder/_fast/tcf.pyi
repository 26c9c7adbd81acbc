"""TC strings, for tests and tools: it grants exactly what the worker takes as granted."""

from collections.abc import Collection
from typing import Any, Protocol

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

def grant_of(text: bytes, settings: ConsentRow) -> dict[str, Any] | None:
    """What the string grants us; None where it is no TC string of version 2 or damaged, or we have no vendor id.

    `purposes`: those for which there is a legal basis, consent or a legitimate interest that nobody objected to.
    `precise_geo`: special feature 1 is declared, and the user opted in.
    `forbidden`: the publisher forbids us purpose 2, to choose an advertisement at all."""
