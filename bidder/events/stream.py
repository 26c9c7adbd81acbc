"""The durable stream of money events, whatever keeps it: what the tracker writes to and the aggregator reads from.

append(payload) -> position, once it cannot be lost; read(position) -> notices after it, in order.
Positions only grow; a reader keeps its own, with what it made of the notices, and is
served at least once. `bidder/events/spool.py` is the stream of one host's disk.
"""

from concurrent.futures import Future
from typing import Protocol

from bidder.events.schema import Notice


class StreamError(Exception):
    """The stream cannot be written or read; the message says where. What was not acknowledged may be sent again."""


class Stream(Protocol):
    """The writing side. One process writes a stream."""

    @property
    def id(self) -> str:
        """16 hex digits; readers keep their positions under it."""

    @property
    def position(self) -> int:
        """The end of all that was appended, acknowledged or not."""

    @property
    def durable(self) -> int:
        """The end of what cannot be lost any more; readers stop there."""

    @property
    def healthy(self) -> bool:
        """False while writing fails or takes too long: then nothing may be bid on that it would have to hold."""

    def append(self, payload: bytes) -> Future[int]:
        """Acknowledged with the position after it when it is durable; StreamError if it will never be. Never blocks."""

    def flush(self) -> Future[int]:
        """The durable position, once all that was appended before is acknowledged or refused."""

    def close(self) -> None:
        """Write what was appended, then stop."""


class StreamReader(Protocol):
    """The reading side; any number of processes."""

    @property
    def id(self) -> str:
        """As the writer's."""

    def read(self, position: int, max_bytes: int) -> tuple[list[tuple[int, Notice]], int]:
        """Durable notices from `position` on, each with the position after it, and where to read next.

        About `max_bytes` of them, but at least one if there is one.
        """

    def trim(self, before: int, older_than_s: float = 0.0) -> int:
        """Give up what stands before `before` and was last written so long ago; returns how many bytes."""
