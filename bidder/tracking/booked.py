"""Booked: which notices are in the stream already, so that a repeat is answered from memory."""

REMEMBERED = 100_000  # booked notices a generation; about 10 MB


class Booked:
    """Notices that are in the stream: the newest `capacity` at least, twice as many at most."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._young or key in self._old

    def add(self, key: bytes) -> None:
        """The older generation goes when the younger is full."""
        self._young.add(key)
        if len(self._young) >= self._capacity:
            self._young, self._old = set(), self._young
