"""StatsD: the same metrics, pushed each second over UDP, for those who have such a sink.

send(families) -> datagrams: counters as what was added, gauges as they are, histograms as timings of their buckets,
each with the sampling rate 1/n that says how many there were. Never waits, never asks a name server on the loop:
the address is found on a thread, and anew every minute. What the socket does not take is dropped, and counted.
"""

import asyncio
import contextlib
import math
import socket
from collections.abc import Iterable, Iterator

from bidder.ops.metrics import AnyFamily, Family, Histogram, Labels, counter
from bidder.settings import address

DATAGRAM = 1_432  # bytes: what Ethernet carries in one piece
RESOLVE_S = 60.0
PREFIX = "outbid_"


class Statsd:
    """Datagrams to one sink. `tags`: labels as DogStatsD has them; else they are parts of the name."""

    def __init__(self, sink: str, tags: bool) -> None:
        self.dropped = 0  # datagrams
        self._host, self._port = address(sink)
        self._tags = tags
        self.target: tuple[socket.AddressFamily, object] | None = None  # where datagrams go; None: not found yet
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}
        self._before: dict[tuple[str, Labels], float] = {}

    async def run(self) -> None:
        """Keep the address of the sink, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(OSError):  # the one that was found before is kept
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
                self.target = found[0][0], found[0][4]
            await asyncio.sleep(RESOLVE_S)

    def family(self) -> Family:
        """What did not get out, for the other metrics."""
        return counter("outbid_statsd_dropped_total", "Datagrams for StatsD that were dropped.", self.dropped)

    def send(self, families: Iterable[AnyFamily]) -> None:
        """What has happened since the last call."""
        batch: list[bytes] = []
        size = 0
        for line in self.lines(families):
            if size + len(line) + 1 > DATAGRAM and batch:
                self._put(b"\n".join(batch))
                batch, size = [], 0
            batch.append(line)
            size += len(line) + 1
        if batch:
            self._put(b"\n".join(batch))

    def lines(self, families: Iterable[AnyFamily]) -> Iterator[bytes]:
        """One a series that has something to say."""
        for family in families:
            name = family.name.removeprefix(PREFIX).removesuffix("_total")
            if isinstance(family, Histogram):
                yield from self._timings(name, family)
            else:
                yield from self._numbers(name, family)

    def _numbers(self, name: str, family: Family) -> Iterator[bytes]:
        for labels, value in family.values.items():
            if family.kind == "gauge":
                yield self._line(name, family.labels, labels, f"{value:.10g}", "g")
            elif added := self._added(name, labels, value):
                yield self._line(name, family.labels, labels, f"{added:.10g}", "c")

    def _timings(self, name: str, family: Histogram) -> Iterator[bytes]:
        for labels, counts in family.buckets.items():
            for i, count in enumerate(counts):
                if added := self._added(name, (*labels, str(i)), count):
                    upper = family.bounds[min(i, len(family.bounds) - 1)]
                    middle_ms = upper * 1_000 / math.sqrt(2)  # of a bucket from half of `upper` to `upper`
                    sampled = f"ms|@{1 / added:.8g}" if added > 1 else "ms"
                    yield self._line(name, family.labels, labels, f"{middle_ms:.6g}", sampled)

    def _added(self, name: str, labels: Labels, value: float) -> float:
        before = self._before.get((name, labels), 0.0)
        self._before[name, labels] = value
        return value - before if value >= before else value

    def _line(self, name: str, names: Labels, labels: Labels, value: str, kind: str) -> bytes:
        if self._tags:
            tags = ",".join(f"{of}:{label}" for of, label in zip(names, labels, strict=True))
            return f"outbid.{name}:{value}|{kind}{f'|#{tags}' if tags else ''}".encode()
        return f"{'.'.join(('outbid', name, *labels))}:{value}|{kind}".encode()

    def _put(self, datagram: bytes) -> None:
        if self.target is None:
            self.dropped += 1
            return
        family, target = self.target
        try:
            self._socket(family).sendto(datagram, target)  # type: ignore[call-overload]
        except OSError:  # full, unreachable, forbidden: nobody waits for a metric
            self.dropped += 1

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        if family not in self._sockets:
            self._sockets[family] = socket.socket(family, socket.SOCK_DGRAM)
            self._sockets[family].setblocking(False)
        return self._sockets[family]

    def close(self) -> None:
        """No more."""
        for opened in self._sockets.values():
            opened.close()
