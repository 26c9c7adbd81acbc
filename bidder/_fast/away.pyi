"""Manual of callers: made by compiled code, for the connection whose request is away."""

from bidder._fast.errand import Waiting

class Caller(Waiting):
    """A connection that waits for the answer of another build."""
