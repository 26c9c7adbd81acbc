"""Segments of our own, by the digest of the user. The layout is in segments.pxd."""

import os
from collections.abc import Mapping

class SegmentTable:
    """The file that the processes of a host share. Times are unix seconds."""

    capacity: int
    named: bool
    """Does the book that is served name any? Else nobody is looked up."""

    def __init__(self, path: str | os.PathLike[str], capacity: int = 0) -> None:
        """Attach; with `capacity` (users; a power of two) make what is missing or of another size. MappingError:
        missing, or not one."""
    def put(self, digest: int, segments: Mapping[str, int], now_s: int) -> None:
        """What a user is in, by name until when; at most 16, of 16 bytes each. For the supervisor alone."""
    def names(self, digest: int, now_s: int) -> list[str]:
        """What the user is in; empty where that is not known."""
