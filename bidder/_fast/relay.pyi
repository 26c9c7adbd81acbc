"""Manual of the relay: what a worker does with it; packets are described in docs/releases.md."""

import asyncio
from collections.abc import Callable
from socket import socket

from bidder._fast.admission import Admission
from bidder._fast.board import Board
from bidder._fast.errand import Home

class Door:
    """One worker of another build, as this worker sees it."""

class Relay:
    """Connections to the doors that the board names; one a worker."""

    dropped: int
    """Answers that came when nobody waited any more."""

    def __init__(self, call_at: Callable[[int, int], socket], board: Board, admission: Admission, home: Home) -> None:
        """`call_at`: connects to the door of (arm, row), without waiting, or raises OSError. `home`: where what is sent
        comes to its end."""
    @property
    def out(self) -> int:
        """Requests that are waited for."""
    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """From here on requests are sent, and answers come, on this loop."""
    def end_all(self) -> None:
        """What is out comes home without an answer, and no more is sent."""
    def turn(self) -> None:
        """Read what has come. The loop calls it."""
    def rings(self) -> None:
        """Decide what has been waited for long enough. The loop calls it."""
