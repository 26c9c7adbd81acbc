"""What the tracker of this host says of itself: whether leases are drawn here, and whether anything is bid."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bidder.ops import control
from bidder.ops import log as logs

ASK_EVERY_S = 1.0
ANSWER_S = 2.0


class TrackerWatch:
    """`hold(held)` is called when bidding has to end, and when it may go on."""

    def __init__(self, state: Path, hold: Callable[[bool], object]) -> None:
        self.healthy = True
        self.held: str | None = None  # why nothing is bid until the tracker says that it can write again
        self._path = state / "run" / "tracker.sock"
        self._hold = hold
        self._log = logs.get("supervisor")

    async def run(self) -> None:
        """Leases are drawn only while this host's notices can be acknowledged; no bids while its stream says no.

        A tracker that does not answer is another matter: it comes back, and exchanges repeat their notices.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                answer = await loop.run_in_executor(None, control.ask, self._path, {"do": "health"}, ANSWER_S)
                healthy = bool(answer["healthy"])
                self._said(None if healthy else answer.get("failure"))
            except control.ControlError:
                healthy = False
            if healthy != self.healthy:
                self._log.warning("tracker health changed", healthy=healthy)
            self.healthy = healthy
            await asyncio.sleep(ASK_EVERY_S)

    def _said(self, why: str | None) -> None:
        """No bids while there is a reason for it."""
        differs = (why is None) != (self.held is None)
        self.held = why
        if differs:
            say = self._log.info if why is None else self._log.error
            say("bids go on" if why is None else "no bids: notices could not be acknowledged", tracker=why)
            self._hold(why is not None)
