"""A crowd of exchanges before one worker, in virtual time: the real connections, admission and control.

Arrivals are Poisson with a seed; a poll returns the connections that have something to say and are read, a batch at
most, those first that have not been looked at for longest; serving and shedding advance the clock by what they cost,
and the answers of a batch leave together. An exchange sends on a connection that owes it no answer, and loses the
request where there is none (`depth` 1), or sends up to `depth` requests one behind the other. Times: s.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bidder._fast.admission import Admission
from bidder._fast.clock import HandClock
from bidder._fast.handler import PythonHandler
from bidder._fast.http import Connections
from bidder.admission import STEP_S
from bidder.listener import Overload
from tests.http_wire import Wire, no_route, post

NS = 1_000_000_000
POLL_S = 5e-6
BATCH = 32  # as bidder/_fast/reactor.pxd has it
DEADLINE_S = 0.035


@dataclass(slots=True)
class Tally:
    """What became of the requests that arrived in one phase."""

    arrived: int = 0
    good: int = 0  # decided on, and answered within the deadline
    shed: int = 0  # answered unserved
    waits: list[float] = field(default_factory=list)  # of those decided on
    unread: list[int] = field(default_factory=list)  # connections, at each step
    longest_unread_s: float = 0.0

    @property
    def p99(self) -> float:
        """Of the time from arrival to answer."""
        return sorted(self.waits)[int(len(self.waits) * 0.99)]


class Member:
    """One connection of an exchange: its end in the kernel, and ours."""

    def __init__(self, exchange: str, connections: Connections) -> None:
        self.exchange = exchange
        self.request = post(b"{}", path=f"/bid/{exchange}")
        self.wire = Wire()
        self.protocol = connections.protocol()
        self.protocol.connection_made(self.wire)
        self.owed: deque[tuple[float, Tally]] = deque()
        self.ready = False  # stands in the line of those that have something to say
        self.unread_since: float | None = None


class Crowd:
    """`exchanges`: (name, its share of the requests and connections, nano-USD that serving one earns)."""

    def __init__(
        self,
        *,
        connections: int = 200,
        serve_s: float = 50e-6,
        shed_cost: float = 0.6,
        depth: int = 1,
        exchanges: Sequence[tuple[str, float, int]] = (("openx", 1.0, 0),),
        seed: int = 1,
    ) -> None:
        self.capacity = 1 / serve_s
        self._serve_s, self._shed_s, self._depth = serve_s, serve_s * shed_cost, depth
        self._rng = random.Random(seed)
        self._clock = HandClock(0, NS)
        self._admission = Admission(self._clock)
        lanes = {name.encode(): lane for lane, (name, _, _) in enumerate(exchanges, 1)}
        self._served = 0
        self.served_of = {name: 0 for name, _, _ in exchanges}

        def serve(exchange: bytes, body: bytes) -> tuple[int, bytes]:
            self._served += 1
            self._work(self._serve_s)
            self.served_of[exchange.decode()] += 1
            self._admission.earned(lanes[exchange], earns[exchange])
            return 200, b"{}"

        earns = {name.encode(): nano for name, _, nano in exchanges}
        self._connections = Connections(PythonHandler(serve, admission=self._admission, lanes=lanes), no_route)
        self._overload = Overload(self._connections, self._admission)
        self._overload.begin(self.now, 0.0)
        self._next_step = self.now + STEP_S
        self._next_arrival = self.now
        self._line: deque[Member] = deque()
        self._cpu = 0.0
        self.members = [
            Member(name, self._connections) for name, share, _ in exchanges for _ in range(round(connections * share))
        ]

    @property
    def now(self) -> float:
        return self._clock.monotonic / NS

    @property
    def unread(self) -> int:
        """Connections that are not read just now."""
        return self._connections.unread

    def _work(self, seconds: float) -> None:
        self._clock.monotonic += round(seconds * NS)
        self._cpu += seconds

    def run(self, load: float, seconds: float) -> Tally:
        """A phase with `load` times the worker's capacity; what is still owed at its end is not `good`."""
        tally = Tally()
        end = self.now + seconds
        rate = load * self.capacity
        self._next_arrival = self.now + self._rng.expovariate(rate)
        while self.now < end:
            self._arrive(rate, tally)
            if not self._turn():
                self._clock.monotonic = round(max(self.now, min(self._next_arrival, self._next_step)) * NS) + 1
            if self.now >= self._next_step:
                self._step(tally)
        return tally

    def _arrive(self, rate: float, tally: Tally) -> None:
        while self._next_arrival <= self.now:
            tally.arrived += 1
            member = self._free_member()
            if member is not None:
                member.owed.append((self._next_arrival, tally))
                self._ready(member)
            self._next_arrival += self._rng.expovariate(rate)

    def _free_member(self) -> Member | None:
        """Any with room; the exchange does not know which of its connections we read."""
        for _ in range(20):
            member = self._rng.choice(self.members)
            if len(member.owed) < self._depth:
                return member
        return None

    def _ready(self, member: Member) -> None:
        if not member.ready:
            member.ready = True
            self._line.append(member)

    def _poll(self) -> list[Member]:
        found: list[Member] = []
        while self._line and len(found) < BATCH:
            member = self._line.popleft()
            member.ready = False
            if member.owed and member.wire.reading:
                found.append(member)
        return found

    def _turn(self) -> bool:
        """False: nobody has anything to say."""
        self._admission.polls()
        batch = self._poll()
        if not batch:
            return False
        self._admission.polled(len(batch) < BATCH)
        self._work(POLL_S)
        for member in batch:
            owed, served = len(member.owed), self._served
            data = member.request * owed
            view = memoryview(member.protocol.get_buffer(-1))
            view[: len(data)] = data
            view.release()
            member.protocol.buffer_updated(len(data))
            self._work((owed - self._served + served) * self._shed_s)
        for member in batch:
            for answer in b"".join(member.wire.writes).split(b"HTTP/1.1 ")[1:]:
                arrived, tally = member.owed.popleft()
                if answer.startswith(b"204"):
                    tally.shed += 1
                else:
                    tally.waits.append(self.now - arrived)
                    tally.good += self.now - arrived <= DEADLINE_S
            member.wire.writes.clear()
        self._admission.turn_ends(len(batch))
        return True

    def _step(self, tally: Tally) -> None:
        self._next_step = self.now + STEP_S
        self._overload.step(self.now, self._cpu)
        tally.unread.append(self.unread)
        for member in self.members:
            if member.wire.reading:
                member.unread_since = None
                if member.owed:
                    self._ready(member)
            elif member.unread_since is None:
                member.unread_since = self.now
            else:
                tally.longest_unread_s = max(tally.longest_unread_s, self.now - member.unread_since)
