"""Manual of the tally: counters of one request, which go with its answer."""

from bidder._fast.counters import Counters

class Tally(Counters):
    """In place of a worker's row of the counter file."""

    n: int
    full: bool
    def __init__(self) -> None: ...
