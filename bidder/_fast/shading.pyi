"""Shading: what part of its value should a campaign bid where the winner pays what it bids? A file all workers map.

A class of placements is an exchange, a format (mtype) and a size, as half the bits of its area. Values: nano-USD for
one impression, in 64 steps of a quarter of a doubling from 2**12 on.
"""

from collections.abc import Collection, Sequence
from os import PathLike

class Shading:
    path: object

    def __init__(self, path: str | PathLike[str], *, make: bool = False, private: bool = False) -> None:
        """`make` (the supervisor): create the file where it is missing. MappingError where it is, or is another's."""
    def put(self, key: int, shares: Sequence[int]) -> bool:
        """Shares of a class by step, in 65536ths, 0 for all of the value; False: there is no room for another class.

        ValueError for what is no key of a class, or not 64 shares.
        """
    def keep(self, keys: Collection[int]) -> None:
        """Classes that are not among these bid their value again."""
    def shade(self, key: int, value: int) -> int:
        """What to bid; the value itself where nothing is known."""

def key_of(exchange: int, format: int, w: int, h: int) -> int:
    """Of a class. ValueError where exchange or format are no keys."""
