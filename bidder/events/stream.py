"""The durable stream of money events, whatever keeps it: what the tracker writes to and the aggregator reads from.

append(payload) -> position, once it cannot be lost; Source.take() -> notices after the last place, at least once.
A reader keeps its place with what it made of the notices, in one transaction. Positions only grow.
`bidder/events/spool.py` is the stream of one host's disk, `bidder/events/kinesis.py` one of many hosts.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bidder.events.schema import Notice


class StreamError(Exception):
    """The stream cannot be written or read; the message says where. What was not acknowledged may be sent again."""


class Stream(Protocol):
    """The writing side."""

    commits: int  # syncs or calls so far that made notices durable

    @property
    def id(self) -> str:
        """Readers keep their places under it."""

    @property
    def position(self) -> int:
        """The end of all that was appended, acknowledged or not."""

    @property
    def durable(self) -> int:
        """The end of what cannot be lost any more; readers stop there."""

    @property
    def healthy(self) -> bool:
        """False while writing fails or takes too long: then nothing may be bid on that it would have to hold."""

    @property
    def failure(self) -> str | None:
        """Why it cannot be written, in one line; None while it can."""

    @property
    def reached(self) -> Mapping[str, int]:
        """Shard -> sequence number of the last record that is durable there; empty where `durable` says it all."""

    def append(self, payload: bytes) -> Future[int]:
        """Acknowledged with the position after it when it is durable; StreamError if it will never be. Never blocks."""

    def flush(self) -> Future[int]:
        """The durable position, once all that was appended before is acknowledged or refused."""

    def close(self) -> None:
        """Write what was appended, then stop."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one shard of a stream was read."""

    sequence: int = 0  # of the last record; 0: none yet
    ended: bool = False  # it was closed, and read to its end


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader stands. `position` grows with everything read; `marks` by shard, where a stream has shards."""

    position: int = 0
    marks: Mapping[str, Mark] = field(default_factory=dict)


class Portion(NamedTuple):
    """What one take() gave."""

    notices: list[Notice]
    after: Place  # `marks`: of those shards only whose mark moved
    complete_at: float | None  # monotonic s: nothing accepted before is missing up to here; None: there is more


class Source(Protocol):
    """The reading side, for one reader that books what it takes."""

    @property
    def id(self) -> str:
        """As the writer's."""

    @property
    def shared(self) -> bool:
        """Several hosts can read it: then only one may at a time."""

    def resume(self, place: Place) -> None:
        """Go on from here, whatever was taken before."""

    def take(self, most: int) -> Portion:
        """The next notices, about `most`. StreamError where it cannot be read now."""
