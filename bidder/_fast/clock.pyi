"""Manual of the clocks that compiled code reads."""

class Clock:
    """The system's clocks."""

class HandClock(Clock):
    """Stands still until it is set: `wall` in ns since 1970, `monotonic` in ns."""

    wall: int
    monotonic: int
    def __init__(self, wall: int, monotonic: int = 0) -> None: ...
