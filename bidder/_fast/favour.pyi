"""Manual of favour: which connections are read and served while there is more than can be."""

from collections.abc import Sequence

from bidder._fast.http import Connections

def sort(
    connections: Connections, now_s: float, read_to: float, serve_to: float, lanes: Sequence[int], turn: float = 0.0
) -> int:
    """Line up all bid connections, those of the lane that is worth most first: of the line's length 1 the part up to
    `serve_to` is served, the part up to `read_to` answered, the rest not read. How many are not read.

    `lanes` by falling worth; those not named stand before them. Within a lane the lot decides, `turn` (0 to 1)
    further round. What is not read is looked at once a second all the same (`now_s`: any monotonic clock), and what it
    says then is answered unread, for it is old.
    """
