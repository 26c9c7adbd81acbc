"""What the tracker follows while it runs: keys of prices, and the book with its click targets.

Both are files that other processes replace. A new generation that cannot be
used is logged, and the last good one serves on.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from bidder._fast.book import Book
from bidder.campaigns.snapshot import Follower
from bidder.ops.log import Log
from bidder.settings import Exchange
from bidder.tracking.prices import PriceKeyError, PriceKeys, load_price_keys


class PriceKeyFiles:
    """The keys of encrypted prices, by key of the exchange; each file is read again when it changes."""

    def __init__(self, state: Path, exchanges: Mapping[str, Exchange], log: Log) -> None:
        self._paths = {row.key: state / row.price_keys for row in exchanges.values() if row.price_keys}
        self._seen: dict[int, tuple[int, int, int] | None] = {}
        self._keys: dict[int, tuple[PriceKeys, ...]] = {}
        self._log = log

    def refresh(self) -> Mapping[int, tuple[PriceKeys, ...]]:
        """What can be used now. A file that cannot be read leaves the keys of before, and is logged once."""
        for key, path in self._paths.items():
            try:
                now = path.stat()
                seen = (now.st_ino, now.st_mtime_ns, now.st_size)
            except OSError:
                seen = None
            if key in self._seen and seen == self._seen[key]:
                continue
            self._seen[key] = seen
            try:
                self._keys[key] = load_price_keys(path)
                self._log.info("price keys read", exchange=key, pairs=len(self._keys[key]))
            except PriceKeyError as error:
                self._log.error("price keys refused; those of before open on", reason=str(error))
        return self._keys


class Landings:
    """Click targets, from the newest book of this host."""

    def __init__(self, state: Path, log: Log) -> None:
        self._follower = Follower(state)
        self._log = log
        self._book: Book | None = None
        self._complaint = ""
        self._one_at_a_time = asyncio.Lock()

    @property
    def book(self) -> Book | None:
        """None before the first."""
        return self._book

    @property
    def revision(self) -> int | None:
        """Of the book; None before the first."""
        return None if self._book is None else self._book.revision

    async def refresh(self) -> None:
        """Checking a large book takes a while: in a thread, so that no notice waits for it."""
        async with self._one_at_a_time:
            book = await asyncio.to_thread(self._follower.refresh)
            if self._follower.reason not in ("", self._complaint):
                self._log.error("book refused; the last good one serves on", reason=self._follower.reason)
            self._complaint = self._follower.reason
            if book is not None:
                self._book = book
                self._log.info("book swapped", revision=book.revision)

    async def url(self, creative: int) -> str | None:
        """Where a click on this creative goes; None if no book has it. A bid may be newer than our book."""
        url = None if self._book is None else self._book.landing_url(creative)
        if url is None:
            await self.refresh()
            url = None if self._book is None else self._book.landing_url(creative)
        return url
