"""Switches: what is off, since when, by whom; for all, one exchange, one advertiser, one campaign or one feature.

A host's state is a set of flips, the latest of each switch. Of two states the merge keeps the later flip of each, ties
by host, so hosts that were apart agree again whatever they hear first, twice or late. `<state>/switches.json` holds it.
Times: wall clock ms.
"""

import contextlib
import json
import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from bidder.features import NAMES
from bidder.ops import durable

KINDS = ("all", "exchange", "advertiser", "campaign", "feature")
BY_KEY = "#"  # begins the name of a campaign that is known by its key only
FILE = "switches.json"
KEPT = "switches.kept.json"  # the last good state: of a start that finds the other one broken
LOCK = "switches.lock"


class SwitchError(ValueError):
    """There is no such thing to switch, or the file is none of switches; the message says what."""


class Flip(msgspec.Struct, frozen=True):
    """One switch as it was put last."""

    kind: str  # one of KINDS, or what a later build has
    off: bool
    name: str = ""  # of the exchange, advertiser, campaign or feature
    at_ms: int = 0  # 0: somebody wrote it into the file
    who: str = ""
    host: str = ""

    @property
    def switch(self) -> tuple[str, str]:
        """Which one."""
        return self.kind, self.name

    @property
    def order(self) -> tuple[int, str, bool, str]:
        """Of two flips of one switch the greater is the later."""
        return self.at_ms, self.host, self.off, self.who

    def __str__(self) -> str:
        return "everything" if self.kind == "all" else f"{self.kind} {self.name}"


class Switches:
    """The latest flip of each switch that was ever flipped; all others are on."""

    def __init__(self, flips: Iterable[Flip] = ()) -> None:
        self._flips: dict[tuple[str, str], Flip] = {}
        self.merge(flips)

    @property
    def flips(self) -> list[Flip]:
        """All of them, sorted."""
        return [self._flips[switch] for switch in sorted(self._flips)]

    def merge(self, flips: Iterable[Flip]) -> list[Flip]:
        """Take over what is later than what is known; what that was."""
        news = []
        for flip in flips:
            mine = self._flips.get(flip.switch)
            if mine is None or flip.order > mine.order:
                self._flips[flip.switch] = flip
                news.append(flip)
        return news

    def next(self, flip: Flip) -> Flip:
        """This flip, later than any that is known of its switch, wherever clocks stand."""
        mine = self._flips.get(flip.switch)
        return flip if mine is None else msgspec.structs.replace(flip, at_ms=max(flip.at_ms, mine.at_ms + 1))

    def edited(self, flips: Iterable[Flip], at_ms: int, who: str, host: str) -> list[Flip]:
        """What a file that somebody edited changes. Where it says nothing later than what is known, the position
        counts, as flipped by this hand; a switch that it leaves out is on."""
        news, listed = [], set()
        for flip in flips:
            listed.add(flip.switch)
            mine = self._flips.get(flip.switch)
            if flip.at_ms and (mine is None or flip.order > mine.order):
                news.append(flip)
            elif mine is None or mine.off != flip.off:
                news.append(self.next(Flip(flip.kind, flip.off, flip.name, at_ms, who, host)))
        for switch, mine in self._flips.items():
            if mine.off and switch not in listed:
                news.append(self.next(Flip(mine.kind, False, mine.name, at_ms, who, host)))
        return news

    def off(self, kind: str) -> list[str]:
        """Names of what is off, sorted; of kind `all` the empty name."""
        return [name for (of, name), flip in sorted(self._flips.items()) if of == kind and flip.off]

    def as_dict(self) -> dict[str, Any]:
        """For status and programs: what is off, and all flips."""
        return {
            "everything": bool(self.off("all")),
            "exchanges": self.off("exchange"),
            "advertisers": self.off("advertiser"),
            "campaigns": self.off("campaign"),
            "features": self.off("feature"),
            "flips": [msgspec.to_builtins(flip) for flip in self.flips],
        }


def asked(request: dict[str, Any]) -> tuple[str, str]:
    """The switch that a request names: (kind, name). SwitchError where it names several, or one that cannot be."""
    named = [(kind, request[kind]) for kind in KINDS[1:] if request.get(kind) is not None]
    if len(named) > 1:
        raise SwitchError(f"one switch at a time: {' or '.join(kind for kind, _ in named)}")
    kind, what = named[0] if named else ("all", "")
    name = f"{BY_KEY}{what}" if isinstance(what, int) else str(what)  # verbs of builds before this one know keys
    if kind == "feature" and name not in NAMES:
        raise SwitchError(f"no feature {name!r}; there are {', '.join(NAMES)}")
    return kind, name


def encode(flips: Iterable[Flip]) -> bytes:
    """As hosts tell each other."""
    return msgspec.msgpack.encode(list(flips))


def decode(message: bytes) -> list[Flip]:
    """SwitchError where it is no such message."""
    try:
        return msgspec.msgpack.decode(message, type=list[Flip])
    except msgspec.DecodeError as error:
        raise SwitchError(str(error)) from None


class _Document(msgspec.Struct):
    switches: list[Flip]


class _Before(msgspec.Struct):
    """The file as it was before flips had a time."""

    everything: bool
    exchanges: list[str]
    campaigns: list[int]


Seen = tuple[int, int, int]


def _seen(stat: os.stat_result) -> Seen:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


class SwitchFile:
    """`switches.json` of one host."""

    def __init__(self, state: Path) -> None:
        self.path = state / FILE
        self._kept = state / KEPT
        self._lock = state / LOCK

    def seen(self) -> Seen | None:
        """Differs when the file does; None where there is none."""
        try:
            return _seen(self.path.stat())
        except OSError:
            return None

    def editor(self) -> tuple[int, str]:
        """When the file was written, and whose it is."""
        stat = self.path.stat()
        try:
            who = pwd.getpwuid(stat.st_uid).pw_name
        except KeyError:
            who = f"uid {stat.st_uid}"
        return stat.st_mtime_ns // 1_000_000, f"{who}, by hand"

    def read(self) -> list[Flip]:
        """What the file says; nothing where there is none. SwitchError where it is not one of switches."""
        return self._read(self.path)

    def last_good(self) -> list[Flip] | None:
        """What was in force last; None where nobody ever wrote it down."""
        return self._read(self._kept) if self._kept.exists() else None

    def write(self, flips: Iterable[Flip], *, in_force: bool, still: Callable[[], bool] = lambda: True) -> Seen | None:
        """Durably, one a line; OSError where that cannot be. Only the supervisor knows what is `in_force`.

        `still()`: asked last of all; False: somebody has edited the file meanwhile: it stays, and None is the answer.
        """
        lines = ",\n".join(f"  {json.dumps(msgspec.to_builtins(flip))}" for flip in flips)
        text = f'{{"switches": [\n{lines}\n]}}\n' if lines else '{"switches": []}\n'
        if in_force:
            durable.replace(self._kept, text.encode())
        written = durable.replace(self.path, text.encode(), still=still)
        return None if written is None else _seen(written)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """While somebody reads and writes."""
        return durable.locked(self._lock)

    def _read(self, path: Path) -> list[Flip]:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SwitchError(f"{path}: {error.strerror}") from None
        try:
            found = msgspec.json.decode(data, type=_Document).switches
        except msgspec.DecodeError as error:
            try:
                before = msgspec.json.decode(data, type=_Before)
            except msgspec.DecodeError:
                raise SwitchError(f"{path}: not a file of switches ({error}); mend it") from None
            found = [Flip("all", before.everything)]
            found += [Flip("exchange", True, name) for name in before.exchanges]
            found += [Flip("campaign", True, f"{BY_KEY}{key}") for key in before.campaigns]
        for flip in found:
            if flip.kind not in KINDS and not flip.at_ms:
                raise SwitchError(f"{path}: no switch of kind {flip.kind!r}; there are {', '.join(KINDS)}")
        return found
