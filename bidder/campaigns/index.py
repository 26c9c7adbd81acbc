"""The inverted index of a book: per dimension and value, the campaigns that include it and that exclude it.

A campaign accepts a request in a dimension if (it includes nothing here, or one of the
request's values) and excludes none of them. `base` is the first half of that; a posting
is a bitmap or sorted slots, whichever is cheaper for as many campaigns as it has.
"""

import struct
from array import array
from collections.abc import Iterable, Sequence

from bidder._fast.book_probe import value_hash
from bidder.campaigns.sections import BLOCK, NO_BITMAP, BookWriter, Dimension, Section

# A bitmap is scanned faster than slots: it may cost this many times their bytes.
DENSE_WORTH = 4


class Index:
    """Filled campaign by campaign in slot order, then written."""

    def __init__(self, writer: BookWriter, campaigns: int, seed: int) -> None:
        self._writer = writer
        self._campaigns = campaigns
        self._seed = seed
        self.words = -(-campaigns // BLOCK) * (BLOCK // 64)
        self._ids: dict[tuple[Dimension, bytes], int] = {}
        self._terms: list[int] = []
        self._including: list[list[int]] = []  # by value id: slots
        self._excluding: list[list[int]] = []
        self._bound: dict[Dimension, list[int]] = {}  # slots that include something there

    def value(self, dimension: Dimension, raw: bytes, term: int = 0) -> int:
        """The id of a value, new or known."""
        number = self._ids.setdefault((dimension, raw), len(self._ids))
        if number == len(self._terms):
            self._terms.append(term)
            self._including.append([])
            self._excluding.append([])
        self._terms[number] = self._terms[number] or term
        return number

    def include(self, slot: int, dimension: Dimension, values: Iterable[int]) -> None:
        """The campaign accepts these values only, even where there are none that a request could have."""
        self._bound.setdefault(dimension, []).append(slot)
        for value in set(values):
            self._including[value].append(slot)

    def exclude(self, slot: int, values: Iterable[int]) -> None:
        for value in set(values):
            self._excluding[value].append(slot)

    def _bitmap(self, slots: Iterable[int], start: int = 0) -> int:
        """One more bitmap, `start` with the bits of `slots` flipped; its number."""
        bits = bytearray(start.to_bytes(self.words * 8, "little"))
        for slot in slots:
            bits[slot >> 3] ^= 1 << (slot & 7)
        rows = self._writer.rows[Section.BITMAPS]
        rows += bits
        return len(rows) // len(bits) - 1

    def _posting(self, slots: Sequence[int]) -> tuple[bool, int]:
        """(is a bitmap, where)."""
        if len(slots) * 4 * DENSE_WORTH >= self.words * 8 and slots:
            return True, self._bitmap(slots)
        rows = self._writer.rows[Section.SLOTS]
        at = len(rows) // 4
        rows += struct.pack(f"<{len(slots)}I", *slots)
        return False, at

    def write(self) -> None:
        """Values with their postings, the hash table over them, and the dimensions."""
        writer = self._writer
        size = 2
        while size < 2 * (len(self._ids) + 1):
            size *= 2
        table = array("Q", bytes(8 * size))
        for (dimension, raw), number in self._ids.items():
            digest = value_hash(self._seed, dimension, raw)
            including, excluding = self._including[number], self._excluding[number]
            inc_dense, inc_at = self._posting(including)
            exc_dense, exc_at = self._posting(excluding)
            writer.add(
                Section.VALUES,
                digest,
                writer.text(raw),
                len(raw),
                dimension,
                self._terms[number],
                inc_dense | exc_dense << 1,
                inc_at,
                len(including),
                exc_at,
                len(excluding),
            )
            place = digest & (size - 1)
            while table[place]:
                place = (place + 1) & (size - 1)
            table[place] = (digest >> 32) << 32 | (number + 1)
        writer.rows[Section.INDEX] += struct.pack(f"<{size}Q", *table)
        used = {dimension for dimension, _ in self._ids} | set(self._bound)
        for dimension in sorted(used, key=self._order):
            bound = self._bound.get(dimension, ())
            base = self._bitmap(bound, (1 << self._campaigns) - 1) if bound else NO_BITMAP
            writer.add(Section.DIMENSIONS, dimension, base)

    def _order(self, dimension: Dimension) -> tuple[bool, int, int]:
        """Of the request before those of the imp; then what binds most campaigns, as it empties blocks soonest."""
        of_imp = dimension >= Dimension.DEAL
        return of_imp, 0 if of_imp else -len(self._bound.get(dimension, ())), dimension
