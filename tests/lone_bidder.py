"""`outbid bidder` alone, supervisor and one worker on a state directory of their own: no controller, no Postgres.

bidder = LoneBidder(tmp_path / "a", OUTBID_BIDDER_CPU_SCHEDULING="rr"); bidder.start(); bidder.log(); bidder.end()
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conditions import wait_until
from tests.free_ports import free_port
from tests.hosts import CHECKOUT


class LoneBidder:
    """`start()` and `end()` any number of times; settings as in the environment."""

    def __init__(self, state: Path, before: Sequence[str] = (), **settings: str) -> None:
        """`before` is what the command is an argument of."""
        self.state = state
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [*before, sys.executable, "-m", "bidder", "bidder", "--state", str(state)]
        doors = ("BIDDER_LISTEN", "BIDDER_BUS_LISTEN", "CONTROLLER_LISTEN")
        small = {f"OUTBID_{door}": f"127.0.0.1:{free_port()}" for door in doors}
        small |= {"OUTBID_BIDDER_WORKERS": "1", "OUTBID_BIDDER_METRICS_LISTEN": ""}
        self._environ = os.environ | small | settings
        self._log = state.with_suffix(".log")

    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Return when the supervisor answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, cwd=CHECKOUT, stdout=log, stderr=log, env=self._environ)
        wait_until((self.state / "run" / "supervisor.sock").exists, 20.0, "the supervisor")

    def end(self) -> None:
        """As an operator would; it may have ended before."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(20.0)
            self.process = None
            assert code == 0
