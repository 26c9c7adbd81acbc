"""Manual of admission: what has waited too long gets its no-bid before it is read.

Compiled code also calls `read_begins`, `admits` and `earn` (`admission.pxd`); `bidder.admission` is the control on top.
"""

from bidder._fast.clock import Clock

class Admission:
    """One a worker. Lanes are keys of exchanges, 1 to 63; 0: no exchange of ours. Times: monotonic ns."""

    now: int
    """When the turn at hand began."""
    late: int
    """Requests shed so far because their connection had not been read for a while."""

    def __init__(self, clock: Clock | None = None, *, budget_ns: int = 10_000_000) -> None:
        """`budget_ns`: how long a request may have waited, and be served, before anything is set for its lane."""
    def set_budget(self, lane: int, budget_ns: int) -> None:
        """Requests of this lane that waited longer are shed. ValueError: no such lane, or no time at all."""
    def polls(self) -> None:
        """A turn begins: about to ask which connections have something to say."""
    def polled(self, all: bool) -> None:
        """Asked; `all` that had something to say are in this turn."""
    def turn_ends(self, reads: int) -> None:
        """So many connections were read, and what they said was answered."""
    def stalled(self, began_ns: int) -> None:
        """The loop did something else since then, so that what it finds next may have waited as long."""
    def earned(self, lane: int, nano: int) -> None:
        """A request of this lane was bid on, with so many nano-USD; for handlers in Python."""
    def sample(self) -> tuple[dict[int, tuple[int, int, int]], int]:
        """{lane: (served, shed, nano-USD bid)} since the last sample, and the shortest wait in it, in ns."""
