"""The switchboard of a host: whoever flips a switch, every worker sees it with its next request.

a verb, an edited switches.json, another host -> Switchboard -> board and purses, then the file, then the other hosts
The board and the purses are words of shared memory. Nothing here needs controller, memcached or Postgres.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bidder._fast.board import Board
from bidder._fast.book import Book, BookError
from bidder._fast.purses import Purses
from bidder.features import NAMES, mask_of
from bidder.ops.audit import AuditTrail
from bidder.ops.control import ControlError
from bidder.ops.log import get
from bidder.ops.switches import BY_KEY, Flip, SwitchError, Switches, SwitchFile, asked, decode, encode

WATCH_S = 0.2
TELL_S = 1.0  # a host that was away agrees after so long


class Switchboard:
    """Made before the first worker is; `run()` until cancelled. SwitchError where the file cannot be read at all."""

    def __init__(
        self,
        state: Path,
        host: str,
        board: Board,
        purses: Purses,
        exchanges: Mapping[str, int],
        *,
        book: Callable[[], Book | None],
        publish: Callable[[bytes], None],
        audit: AuditTrail,
    ) -> None:
        """`exchanges`: name -> key. `book`: opens the one that is served; BookError where that cannot be."""
        self._host = host
        self._board = board
        self._purses = purses
        self._exchanges = exchanges
        self._book = book
        self._publish = publish
        self._audit = audit
        self._log = get("supervisor")
        self._file = SwitchFile(state)
        self._held = False
        self._unwritten: set[tuple[str, str]] = set()  # switches whose last flip is not in the file
        self.refused = ""  # why the file is not what is in force
        self.switches = Switches()
        self._seen: tuple[int, int, int] | None = None
        kept = self._file.last_good()
        self.switches.merge(kept or ())
        self._reread(checked=kept is not None)  # what the file says beyond that was written while nobody watched
        if self.refused and kept is None:
            raise SwitchError(self.refused)

    def apply(self, held: bool | None = None) -> None:
        """Let every worker see it, now; again with each book. `held`: everything is off for another reason."""
        if held is not None:
            self._held = held
        switches = self.switches
        self._board.off = bool(switches.off("all")) or self._held
        off = set(switches.off("exchange"))
        for name, key in self._exchanges.items():
            self._board.set_exchange_off(key, name in off)
        self._board.features_off = mask_of(name for name in switches.off("feature") if name in NAMES)
        keys = self._campaigns(switches.off("campaign"), switches.off("advertiser"))
        if keys is not None:
            self._purses.switch_off(keys)

    def _campaigns(self, campaigns: list[str], advertisers: list[str]) -> set[int] | None:
        """Their keys; None: there is no book to look names up in, and what was off stays off."""
        keys = {int(name[1:]) for name in campaigns if name.startswith(BY_KEY)}
        names = [name for name in campaigns if not name.startswith(BY_KEY)]
        if not names and not advertisers:
            return keys
        book = self._opened()
        if book is None:
            return None
        keys.update(key for name in names if (key := book.campaign_key(name)) is not None)
        if advertisers:
            known = book.advertisers
            keys |= book.campaigns_of([known[name] for name in advertisers if name in known])
        return keys

    def _opened(self) -> Book | None:
        try:
            return self._book()
        except BookError as error:
            self._log.error("switches: the book cannot be opened", error=str(error))
            return None

    def check(self, kind: str, name: str) -> None:
        """SwitchError where this host has nothing of the kind by that name."""
        if kind == "exchange" and name not in self._exchanges:
            raise SwitchError(f"no exchange {name!r}; there are {', '.join(sorted(self._exchanges))}")
        if kind == "feature" and name not in NAMES:
            raise SwitchError(f"no feature {name!r}; there are {', '.join(NAMES)}")
        if kind in ("campaign", "advertiser") and not name.startswith(BY_KEY):
            book = self._opened()
            if book is not None and not (
                name in book.advertisers if kind == "advertiser" else book.campaign_key(name) is not None
            ):
                raise SwitchError(f"no {kind} {name!r} in this host's book")

    def switch(self, request: dict[str, Any]) -> dict[str, Any]:
        """A verb's request: "off", one of the kinds with a name, or none; "who". What is off afterwards."""
        try:
            kind, name = asked(request)
            self.check(kind, name)
        except SwitchError as error:
            raise ControlError(str(error)) from None
        who = str(request.get("who") or request.get("actor") or "unknown")
        flip = Flip(kind, bool(request["off"]), name, int(time.time() * 1000), who, self._host)
        self._take([self.switches.next(flip)])
        if self.refused:
            raise ControlError(f"{flip}: {'off' if flip.off else 'on'}, but not kept: {self.refused}")
        return self.as_dict()

    def as_dict(self) -> dict[str, Any]:
        """For status."""
        return {**self.switches.as_dict(), "refused": self.refused or None}

    def hear(self, message: bytes) -> None:
        """What another host says."""
        try:
            flips = decode(message)
        except SwitchError as error:
            self._log.error("another host's switches cannot be read", error=str(error))
            return
        self._take(flips, own=False)

    async def run(self) -> None:
        """Watch the file, tell the others."""
        tell_at = 0.0
        while True:
            self.look()
            if time.monotonic() >= tell_at:
                tell_at = time.monotonic() + TELL_S
                self._publish(encode(self.switches.flips))
            await asyncio.sleep(WATCH_S)

    def look(self) -> None:
        """Take over what somebody else wrote; a removed file is put back."""
        if self._file.seen() != self._seen:
            self._reread(checked=True)
            if self._seen is None:
                self._keep()

    def _reread(self, checked: bool) -> None:
        """Whoever wrote the file knows nothing of what is not in it yet. `checked`: what it names must be there."""
        self._seen = self._file.seen()
        try:
            news = self.switches.edited(self._file.read(), *self._file.editor(), self._host) if self._seen else []
            for flip in news if checked else ():
                self.check(flip.kind, flip.name)
        except (SwitchError, OSError) as error:
            self._refuse(error)
            return
        self.refused = ""
        self._take(flip for flip in news if flip.switch not in self._unwritten)
        if self._unwritten:
            self._keep()

    def _refuse(self, error: Exception) -> None:
        self.refused = str(error)
        self._log.error("switches.json is refused; what was in force stays", error=self.refused)

    def _take(self, flips: Iterable[Flip], own: bool = True) -> None:
        """Into force first, then to the disk and to the others: a full disk keeps nobody from switching off."""
        news = self.switches.merge(flips)
        if not news:
            return
        self._unwritten |= {flip.switch for flip in news}
        self.apply()
        self._publish(encode(news))
        for flip in news:
            position = "off" if flip.off else "on"
            self._log.warning("switched", switch=str(flip), position=position, who=flip.who, host=flip.host)
        self._keep()
        for flip in news if own else ():
            self._audit.record(flip.who, "switch", str(flip), position="off" if flip.off else "on", at_ms=flip.at_ms)

    def _is_as_seen(self) -> bool:
        return self._file.seen() == self._seen

    def _keep(self) -> None:
        try:
            with self._file.locked():
                # Editors know of no lock. What somebody has edited is taken over in a moment, and all is written then.
                written = self._file.write(self.switches.flips, in_force=True, still=self._is_as_seen)
                if written is None:
                    return
                self._seen = written
            self.refused = ""
            self._unwritten.clear()
        except OSError as error:
            self._refuse(error)
