"""GPP strings, for tests and tools: read exactly as the worker reads them."""

from collections.abc import Iterable

LAYOUTS: dict[int, str]
"""Per US section what its two-bit answers are, a letter each; the source says what the letters mean."""
NATIONAL_BEFORE: str
"""The national section's, before its lists grew; a shorter core segment is that one."""

def sections_of(text: bytes, applying: Iterable[int]) -> tuple[list[int], int] | None:
    """Ids of the sections that the string has, and what its US sections among `applying` leave (bits of
    `bidder._fast.consent.MAY`); None where the string is damaged."""
