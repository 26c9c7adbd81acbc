"""The reader of bid requests; see `request.pxd` for what the hot path sees.

From Python it serves tests and tools (`outbid explain`): it decides exactly as the worker does.
"""

from typing import Any

from bidder._fast.tcf import ConsentRow

OS_NAMES: tuple[str, ...]
"""Operating systems; the place of a name is its key in counters, rollups and tokens. 0: other."""

OS_ALIASES: dict[str, str]
"""What devices also call them, lower case -> a name of OS_NAMES."""

class Reader:
    def __init__(self, consent: ConsentRow | None = None) -> None:
        """`consent`: who we are where consent is given to vendors; None: nobody on the Global Vendor List."""

    def parse(self, body: bytes) -> int:
        """Reads one request and returns what it is: 0 OK; 1 malformed (not one JSON object,
        RFC 8259, UTF-8, at most 64 containers deep: HTTP 400); 2 invalid (no id, or no imp
        with an id: no-bid)."""

    def view(self) -> dict[str, Any]:
        """What the last `parse` read, by the names of the struct `Request`: str, int, float, bool,
        lists of them, None for absent strings. Bit sets are lists of numbers, packed letters
        are text again ("?": a currency that is named, but not with three letters).
        Unspecified after a malformed one."""

def os_key_of(text: str) -> int:
    """Place in OS_NAMES of a `device.os`, without case, an alias or a version behind it; 0 where unknown."""
