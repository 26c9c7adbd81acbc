"""Sources: the spool of this host as the money intake takes from it; a shared stream is one by itself.

SpoolReader -> SpoolSource.take() -> Portion
Times: monotonic seconds.
"""

import time
from collections.abc import Callable

from bidder.events.schema import Notice
from bidder.events.spool import SpoolReader
from bidder.events.stream import Place, Portion

READ_BYTES = 512 * 1024


class SpoolSource:
    """One reader's way through a spool."""

    shared = False

    def __init__(self, reader: SpoolReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._position = 0

    @property
    def id(self) -> str:
        """As the writer's."""
        return self._reader.id

    def resume(self, place: Place) -> None:
        """Go on from here."""
        self._position = place.position

    def take(self, most: int) -> Portion:
        """Up to `most` notices; SpoolError names the place of what cannot be read."""
        notices: list[Notice] = []
        while len(notices) < most:
            asked_at = self._clock()
            read, after = self._reader.read(self._position, READ_BYTES)
            if not read:
                return Portion(notices, Place(self._position), asked_at)
            room = most - len(notices)
            notices += [notice for _, notice in read[:room]]
            self._position = after if len(read) <= room else read[room - 1][0]
        return Portion(notices, Place(self._position), None)
