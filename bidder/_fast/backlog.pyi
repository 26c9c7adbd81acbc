"""Manual of what a connection keeps while a request is not whole: nothing that Python calls."""

from bidder._fast.peer import Peer

class Backlog(Peer):
    """Between `Peer` and `BidProtocol`."""
