"""Manual of the sender: the decision of a worker that reads requests, other builds' arms included."""

from collections.abc import Callable
from socket import socket
from typing import Any

from bidder._fast.decision import Decider
from bidder._fast.errand import Home
from bidder._fast.relay import Relay

class Return(Home):
    """Has the answers of other builds checked, counted and told."""

class Sender(Decider):
    """A Decider that sends requests of arms 1 and 2 to those who answer them, from `relay.begin(loop)` on."""

    relay: Relay

    def __init__(self, *, call_at: Callable[[int, int], socket], **parts: Any) -> None:
        """`call_at`: of the Relay; `parts`: of the Decider."""
