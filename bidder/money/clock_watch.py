"""Was the wall clock set? Then for a while it does not tell how long ago something was.

Whoever gives money back by the clock asks: one that was set forward would give back at once what bids may still cost.
"""

JUMP_S = 5.0  # a wall clock that moves so far against the monotonic one was set
MINUTE_S = 60


class ClockSteps:
    """How far the wall clock was set between two looks; what happened before the first it does not know."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # of the wall clock, before the monotonic one

    def look(self, wall_s: float, monotonic_s: float) -> float:
        """Seconds since the last look; 0.0: it was not set."""
        before, self._ahead = self._ahead, wall_s - monotonic_s
        step = 0.0 if before is None else self._ahead - before
        return step if abs(step) > JUMP_S else 0.0


class ClockWatch:
    """Compares two clocks each time it is asked; what happened before it was first asked it does not know."""

    def __init__(self, release_after_s: int) -> None:
        """`release_after_s`: how long reservations are out; a minute later all were made by the clock as it is."""
        self._untrusted_s = release_after_s + MINUTE_S
        self._steps = ClockSteps()
        self._trusted_at = float("-inf")

    def tells(self, wall_s: float, monotonic_s: float) -> bool:
        """Does the wall clock tell how long ago a bid was?"""
        if self._steps.look(wall_s, monotonic_s):
            self._trusted_at = monotonic_s + self._untrusted_s
        return monotonic_s >= self._trusted_at
