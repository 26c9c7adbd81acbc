"""Manual of the answerer: what a worker of arm 1 or 2 does with a packet."""

from typing import Any

from bidder._fast.decision import Decider

class Answerer(Decider):
    """A Decider that counts nothing: what it would have counted goes with its answer."""

    def __init__(self, **parts: Any) -> None:
        """`parts`: of the Decider, without `counters`."""
    def reply(self, packet: bytes, arm: int) -> bytes | None:
        """The answer's packet; None: it is too old for one. ValueError: it is no request, or its answer no packet."""
