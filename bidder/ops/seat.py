"""A seat: one child process that is wanted, and that is started again when it dies.

look_after(now) is called often; the first two deaths are made good at once, those of
a child that keeps dying young ever later, up to a second. Times: monotonic seconds.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Protocol

from bidder.ops import log as logs

BACK_S = (0.0, 0.0, 0.2, 0.5, 1.0)  # wait before the nth start of a child that dies young
YOUNG_S = 10.0


class Process(Protocol):
    """A child: `subprocess.Popen`, or one that was adopted."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


class Adopted:
    """A child that an earlier program of this process has started: `exec` keeps children, and forgets about them."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it lives."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        code = self._reap(0)
        assert code is not None
        return code

    def send_signal(self, sig: int, /) -> None:
        """Where it lives: a child that nobody has waited for keeps its pid."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """With SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _reap(self, options: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


class Seat:
    """`start` makes the child; call everything here from the main thread (see bidder.embedded.child)."""

    def __init__(self, role: str, start: Callable[[], Process], log: logs.Log, **fields: object) -> None:
        self.role = role
        self.wanted = True
        self.deaths = 0  # while it was wanted
        self.process: Process | None = None
        self._start = start
        self._log = log
        self._fields = fields
        self._started = 0.0
        self._failures = 0
        self._due = 0.0

    @property
    def pid(self) -> int | None:
        """Of the child, where it lives."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def look_after(self, now: float) -> None:
        """Notice a death, and start whoever is wanted and due."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process = None
            self._failed(now, "died", exit_code=code)
        if self.process is None and self.wanted and now >= self._due:
            self._started = now
            try:
                self.process = self._start()
            except OSError as error:
                self._failed(now, "cannot be started", error=str(error))

    def _failed(self, now: float, how: str, **why: object) -> None:
        self._failures = self._failures + 1 if now - self._started < YOUNG_S else 1
        self._due = now + BACK_S[min(self._failures, len(BACK_S)) - 1]
        if self.wanted:
            self.deaths += 1
            self._log.error(f"{self.role} {how}", failures=self._failures, **why, **self._fields)

    def adopt(self, pid: int) -> None:
        """The child is there already. ChildProcessError where it is not ours."""
        self.process = Adopted(pid)
        self.process.poll()
        self._started = time.monotonic()

    def ask_to_go(self) -> None:
        """No longer wanted: SIGTERM, and it is not brought back."""
        self.wanted = False
        if self.pid is not None and self.process is not None:
            self.process.send_signal(signal.SIGTERM)

    def want_again(self) -> None:
        """Start it at the next look, without the patience that its deaths have earned."""
        self.wanted = True
        self._failures = 0
        self._due = time.monotonic()

    def kill(self) -> None:
        """It did not go when asked."""
        if self.process is not None and self.process.poll() is None:
            self._log.error(f"{self.role} did not end in time", pid=self.process.pid, **self._fields)
            self.process.kill()
            self.process.wait()
