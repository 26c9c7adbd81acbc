"""What the store keeps of one user, under a digest: windows of caps, segments, digests of the same user's other ids.

Nothing in it says who that is; all of it ends. Times: unix seconds.
"""

from collections.abc import Mapping
from typing import Protocol, TypeVar

import msgspec

Key = TypeVar("Key")
Ends = TypeVar("Ends", int, tuple[int, int])

MOST_SEGMENTS = 16  # those that end last stay: what a host's table holds of a user
MOST_LINKS = 16
MOST_WINDOWS = 256
WINDOW_TOP = 8_191


class Profile(msgspec.Struct, array_like=True):
    """msgpack array; fields are only ever added at the end."""

    windows: dict[int, tuple[int, int]] = {}  # key of the table of caps: when it ends, impressions
    segments: dict[str, int] = {}  # name: when it ends
    links: dict[int, int] = {}  # digest of another id: when that is forgotten

    def prune(self, now_s: int) -> None:
        """What is over goes, and what is too much."""
        self.windows = _latest({key: w for key, w in self.windows.items() if w[0] > now_s}, MOST_WINDOWS)
        self.segments = _latest({name: ends for name, ends in self.segments.items() if ends > now_s}, MOST_SEGMENTS)
        self.links = _latest({link: ends for link, ends in self.links.items() if ends > now_s}, MOST_LINKS)

    @property
    def ends_s(self) -> int:
        """Until when anything of it means anything; 0: nothing."""
        ends = [w[0] for w in self.windows.values()]
        return max([*ends, *self.segments.values(), *self.links.values()], default=0)

    def shown(self, key: int, now_s: int, per_s: int) -> None:
        """One more impression in the window that runs, or the first of one that begins."""
        ends_s, n = self.windows.get(key, (0, 0))
        self.windows[key] = (ends_s, min(n + 1, WINDOW_TOP)) if ends_s > now_s else (now_s + per_s, 1)

    def join(self, segments: Mapping[str, int], links: Mapping[int, int], now_s: int, by: float = 1.0) -> bool:
        """Take in what is new, or ends later by more than this factor of what is left; True: there was something."""
        return _add(self.segments, segments, now_s, by) | _add(self.links, links, now_s, by)

    def teach(self, table: "Learner", now_s: int) -> None:
        """Its windows, to a table of caps under the same keys."""
        for key, (ends_s, impressions) in self.windows.items():
            table.learn(key, ends_s, impressions, now_s)


class Learner(Protocol):
    """A table of caps, or what stands before one."""

    def learn(self, key: int, ends_s: int, impressions: int, now_s: int) -> None:
        """The window has at least so many impressions."""


def _add(there: dict[Key, int], more: Mapping[Key, int], now_s: int, by: float) -> bool:
    changed = False
    for key, ends_s in more.items():
        if ends_s - now_s > (there.get(key, now_s) - now_s) * by:
            there[key] = ends_s
            changed = True
    return changed


def _latest(found: dict[Key, Ends], most: int) -> dict[Key, Ends]:
    """Those that end last."""
    if len(found) <= most:
        return found
    return dict(sorted(found.items(), key=lambda item: item[1], reverse=True)[:most])


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Profile)


def encode(profile: Profile) -> bytes:
    """As memcached keeps it."""
    return _ENCODER.encode(profile)


def decode(data: bytes | None) -> Profile:
    """An empty one where there is none, or what is there is not one."""
    if not data:
        return Profile()
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError:
        return Profile()
