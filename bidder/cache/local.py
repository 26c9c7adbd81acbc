"""The first level: a dictionary with a byte budget, least recently used out first."""

from collections import OrderedDict

from bidder.cache.entry import Entry

OVERHEAD = 250  # bytes of an entry beside key and value, about


class Local:
    """Not for two threads at once. `budget`: bytes of keys and values and what they cost beside."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self.bytes = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now_s: float) -> Entry | None:
        """What still serves; also a negative entry."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.good_s <= now_s:
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Replaces what is there; what is larger than the whole budget is not kept."""
        self.drop(key)
        self._entries[key] = entry
        self.bytes += _size(key, entry)
        while self.bytes > self._budget:
            oldest, gone = self._entries.popitem(last=False)
            self.bytes -= _size(oldest, gone)
            self.evicted += 1

    def drop(self, key: str) -> None:
        """If it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= _size(key, entry)


def _size(key: str, entry: Entry) -> int:
    return OVERHEAD + len(key) + len(entry.value or b"")
