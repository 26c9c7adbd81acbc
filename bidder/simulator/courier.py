"""The courier: takes notices, pixels and clicks to the bidder's tracker until it has acknowledged each.

post(kind, url) -> own keep-alive connections -> acknowledged | refused (4xx) | again, later -> ... -> abandoned
Goes to this machine only: a URL of another is counted under `elsewhere` and nothing is sent. A forgery is sent
until it is answered, and must be refused. Times: seconds of the loop's clock.
"""

import asyncio
import random
from functools import partial

from bidder.simulator.connections import Answer, Failure, Pool, field_of
from bidder.simulator.loopback import Address, address_of
from bidder.simulator.options import Options
from bidder.simulator.summary import Notices

CONNECTIONS = 8
MOST_CONNECTIONS = 64
TIMEOUT_S = 10.0
AGAIN_FOR_S = 60.0  # since the first try
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
TWIN_PAUSE_S = 1.0  # half of the duplicates come that much later, the others side by side
MOST_OPEN = 200_000  # notices on their way; what comes on top is abandoned at once
CLICK = "click"
BILL = "burl"


class _Notice:
    """One URL to be fetched; `tries` are those made."""

    __slots__ = ("address", "deadline", "forged", "kind", "payload", "tries")

    def __init__(self, kind: str, address: Address, forged: bool) -> None:
        self.kind = kind
        self.address = address
        self.forged = forged
        self.payload = f"GET {address.target} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n\r\n".encode()
        self.deadline = 0.0
        self.tries = 0


def forge(url: str) -> str:
    """The URL with one character changed in the middle of the longest part of its path, where its token stands."""
    path, question, query = url.partition("?")
    parts = path.split("/")
    longest = max(range(3, len(parts)), key=lambda n: len(parts[n]), default=len(parts) - 1)
    token = parts[longest]
    at = len(token) // 2
    parts[longest] = f"{token[:at]}{'B' if token[at : at + 1] == 'A' else 'A'}{token[at + 1 :]}"
    return "/".join(parts) + question + query


def _acknowledged(kind: str, answer: Answer) -> bool:
    if kind == CLICK:
        return 301 <= answer.status <= 308 and bool(field_of(answer.head, b"location"))
    return answer.status in (200, 204)


class Courier:
    """Of one process. `dice` decide on duplicates, delays and forgeries."""

    def __init__(self, options: Options, dice: random.Random) -> None:
        self.counts = Notices()
        self.open = 0  # notices on their way
        self._options = options
        self._dice = dice
        self._loop = asyncio.get_running_loop()
        self._pools: dict[tuple[str, int], Pool] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def post(self, kind: str, url: str) -> None:
        """Take it there, as often as the options want."""
        address = address_of(url)
        if address is None:
            self.counts.elsewhere[kind] += 1
            return
        pause_s = 0.0
        if kind == BILL and self._dice.random() < self._options.late:
            self.counts.late += 1
            pause_s = self._options.late_s
        self._take(_Notice(kind, address, forged=False), pause_s)
        if self._dice.random() < self._options.duplicates:
            self.counts.duplicates += 1
            twin_pause_s = self._dice.choice((0.0, TWIN_PAUSE_S))
            self._take(_Notice(kind, address, forged=False), pause_s + twin_pause_s)
        if self._dice.random() < self._options.forged and (forged := address_of(forge(url))):
            self.counts.forged += 1
            self._take(_Notice(kind, forged, forged=True), 0.0)

    def load(self, url: str) -> None:
        """An image of the page. Those of other machines are not loaded, and nobody misses them."""
        if address_of(url) is not None:
            self.post("pixel", url)

    async def drain(self) -> None:
        """Returns when nothing is on its way any more."""
        await self._idle.wait()

    @property
    def closed_by_peer(self) -> int:
        """Connections that a tracker closed."""
        return sum(pool.closed_by_peer for pool in self._pools.values())

    async def close(self) -> None:
        """End all connections."""
        for pool in self._pools.values():
            await pool.close()

    def _take(self, notice: _Notice, pause_s: float) -> None:
        self.counts.sent += not notice.forged
        if self.open >= MOST_OPEN:
            self.counts.abandoned[notice.kind] += 1
            return
        self.open += 1
        self._idle.clear()
        notice.deadline = self._loop.time() + pause_s + AGAIN_FOR_S
        if pause_s:
            self._loop.call_later(pause_s, self._try, notice)
        else:
            self._try(notice)

    def _try(self, notice: _Notice) -> None:
        notice.tries += 1
        self.counts.repeated += notice.tries > 1
        self._pool(notice.address).send(notice.payload, partial(self._answered, notice))

    def _pool(self, address: Address) -> Pool:
        where = address.host, address.port
        pool = self._pools.get(where)
        if pool is None:
            pool = self._pools[where] = Pool(
                *where, size=CONNECTIONS, most=MOST_CONNECTIONS, backlog=MOST_OPEN, timeout_s=TIMEOUT_S
            )
        return pool

    def _answered(self, notice: _Notice, answer: Answer | Failure) -> None:
        counts = self.counts
        if isinstance(answer, Answer) and answer.status < 500 and answer.status not in (408, 429):
            if notice.forged:
                counts.forged_taken += not 400 <= answer.status < 500
            elif _acknowledged(notice.kind, answer):
                counts.acknowledged += 1
            else:
                counts.refused[f"{notice.kind} {answer.status}"] += 1
        elif self._loop.time() < notice.deadline:
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(notice.tries, 10))
            self._loop.call_later(pause_s, self._try, notice)
            return
        else:
            counts.abandoned[notice.kind] += 1
        self.open -= 1
        if not self.open:
            self._idle.set()
