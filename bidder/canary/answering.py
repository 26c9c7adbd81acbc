"""The door of a worker that answers what other workers have read: packets in, packets out.

Each worker of the host that reads requests connects when it first has one for us, and stays. What is asked is
answered at once and in order; an answer that its socket does not take is dropped, as nobody waits for long
(`bidder/_fast/relay.pyx`). Packets: docs/releases.md. Times: s, of the loop's clock.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from bidder.ops.log import Log
from bidder.ops.packets import Door, reach

BACKLOG = 128  # workers of a host
AT_ONCE = 32  # packets of one worker before the others have their turn
SOCKET_BYTES = 1 << 20  # of packets on their way, as far as the kernel allows
HEAD_BYTES = 1 << 16  # of a packet, besides the request itself


def door_path(run: Path, arm: int, row: int) -> Path:
    """Where the worker of this row answers requests of this arm; `run` is the directory of a state's sockets."""
    return run / f"arm-{arm}.{row}.sock"


def call_at(run: Path, arm: int, row: int) -> socket.socket:
    """Connected to that worker's door. OSError: it is not there, or takes nobody now."""
    caller = reach(door_path(run, arm, row))
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return caller


class Answering:
    """One door. Built, then `open`, then `drain`."""

    def __init__(self, path: Path, answer: Callable[[bytes], bytes | None], max_body_bytes: int, log: Log) -> None:
        """`answer`: of a packet; None: there is nobody who waits. ValueError: it is none, and its sender is left."""
        self._door = Door(path, self._admit, BACKLOG)
        self._answer = answer
        self._inbox = bytearray(HEAD_BYTES + max_body_bytes)
        self._log = log
        self._callers: set[socket.socket] = set()
        self._asked = 0
        self.dropped = 0  # answers that nobody took

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer from now on. Whatever an earlier process left in this place is replaced."""
        self._loop = loop
        self._door.open(loop)

    async def drain(self, quiet_s: float, give_up_s: float) -> None:
        """Nobody finds the door any more; what has been asked is answered, until nobody has asked for `quiet_s`."""
        self._door.hide()
        deadline = self._loop.time() + give_up_s
        asked = -1
        while asked != self._asked and self._loop.time() < deadline:
            asked = self._asked
            await asyncio.sleep(quiet_s)
        self._door.close()
        for caller in list(self._callers):
            self._leave(caller)

    def _admit(self, caller: socket.socket) -> None:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._callers.add(caller)
        self._loop.add_reader(caller, self._read, caller)

    def _leave(self, caller: socket.socket) -> None:
        self._loop.remove_reader(caller)
        self._callers.discard(caller)
        caller.close()

    def _read(self, caller: socket.socket) -> None:
        """Answer what has come, some packets at once."""
        try:
            for _ in range(AT_ONCE):
                n, _, flags, _ = caller.recvmsg_into([self._inbox])
                if n == 0:
                    self._leave(caller)
                    return
                self._asked += 1
                if not flags & socket.MSG_TRUNC:
                    self._send(caller, self._answer(bytes(memoryview(self._inbox)[:n])))
        except BlockingIOError:
            pass
        except OSError:
            self._leave(caller)
        except ValueError as error:
            self._log.error("what came to the door is not answered, and its sender is left", error=str(error))
            self._leave(caller)

    def _send(self, caller: socket.socket, packet: bytes | None) -> None:
        if packet is None:
            return
        try:
            caller.send(packet)
        except OSError:  # full, or too long for a packet: the sender decides itself
            self.dropped += 1
