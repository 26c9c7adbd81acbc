"""Control of overload: how much of what comes is read, and how much of that is served.

sample (ten times a second) -> Control.step() -> Valves -> `bidder._fast.favour.sort`

Three valves, from fine to coarse. The waiting time of each request (`bidder._fast.admission`) needs no control.
`serve_to` closes when even the shortest wait stays long: then a queue stands, and who earns least is answered unserved.
`read_to` closes when answering without serving takes too much of the time that serving needs, because reading and
answering is most of what a bid costs. The paper work is in docs/overload.md. Pure: no clock, no randomness.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

STEP_S = 0.1  # between two samples
SHED_COST = 0.6  # of a request answered unserved, in served ones: measured 0.57
SHED_MOST = 0.06  # of the requests read; above it connections are left unread
SHED_FEW = 0.03  # below it they are read again
OVERREAD = 1.02  # read a little more than can be served, so that what ends early leaves no time unused
STANDING_NS = 5_000_000  # a wait that never falls below this for a whole sample is a standing queue
BUSY = 0.95  # share of the time on the processor above which there is no room for more
LEAST_READ = 1 / 256
WORTH_SHARE = 1 / 16  # of a sample in a lane's worth: the memory of some two seconds
TURN_PER_S = 1 / 32  # how fast the lots go round: a connection's bad luck ends


@dataclass(frozen=True, slots=True)
class Sample:
    """What happened since the last one."""

    lanes: Mapping[int, tuple[int, int, int]]  # served, shed, nano-USD bid
    least_wait_ns: int
    busy: float  # share of the time that the worker was on the processor


@dataclass(frozen=True, slots=True)
class Valves:
    """Places in the line of connections, worth most first: served up to one, answered up to the other."""

    serve_to: float = 1.0
    read_to: float = 1.0

    @property
    def open(self) -> bool:
        """Everybody is read and served."""
        return self.serve_to >= 1.0 and self.read_to >= 1.0


@dataclass(slots=True)
class Control:
    """One a worker."""

    valves: Valves = Valves()
    worth: dict[int, float] = field(default_factory=dict)  # lane -> nano-USD bid a request
    _overloaded: int = 0  # samples in a row
    _unserved: float = 0.0  # share of what is read that is answered for a standing queue's sake

    def step(self, sample: Sample) -> Valves:
        """The valves for the next tenth of a second."""
        served = sum(lane[0] for lane in sample.lanes.values())
        shed = sum(lane[1] for lane in sample.lanes.values())
        self._learn(sample.lanes)
        read_to = self._read_to(served, shed, sample.busy)
        self._unserved = self._serve_less(sample.least_wait_ns)
        self.valves = Valves(serve_to=read_to * (1 - self._unserved) if self._unserved else read_to, read_to=read_to)
        return self.valves

    def ranking(self) -> list[int]:
        """Lanes, worth most first."""
        return sorted(self.worth, key=lambda lane: (-self.worth[lane], lane))

    def _learn(self, lanes: Mapping[int, tuple[int, int, int]]) -> None:
        for lane, (served, _, nano) in lanes.items():
            if served:
                now = nano / served
                before = self.worth.get(lane, now)
                self.worth[lane] = before + (now - before) * WORTH_SHARE

    def _read_to(self, served: int, shed: int, busy: float) -> float:
        read_to = self.valves.read_to
        share = shed / (served + shed) if served + shed else 0.0
        self._overloaded = self._overloaded + 1 if share > SHED_MOST else 0
        if self._overloaded >= 2:  # one alone may be a pause of ours
            room = (1 - (1 - SHED_COST) * share) * OVERREAD
            # Who sends on any connection that is free sends what we do not read on those that we do.
            return max(LEAST_READ, read_to * min(room, 1 - share))
        if read_to < 1.0 and share < SHED_FEW:
            more = min(2.0, BUSY / busy) if busy > 0 else 2.0
            return min(1.0, read_to * max(more, 1.02))
        return read_to

    def _serve_less(self, least_wait_ns: int) -> float:
        if least_wait_ns > STANDING_NS:
            return min(0.5, self._unserved + 0.05)
        return self._unserved * 0.5 if self._unserved > 0.01 else 0.0
