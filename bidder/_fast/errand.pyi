"""Manual of errands: nothing of them is for Python; packets are described in docs/releases.md."""

class Waiting:
    """Who waits for an answer that comes later."""

class Errand:
    """A request that is on its way."""

class Home:
    """Where errands come to their end."""
