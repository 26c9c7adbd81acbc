"""memcached of one host: started with `outbid up`, gone when it is gone, nothing kept.

launch() -> wait_ready() -> address ... stop(). Listens on 127.0.0.1 alone, without passwords:
it holds published campaigns, which every process of the host may read anyway.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bidder.embedded import child, ports, programs
from bidder.embedded.child import EmbeddedError

HOST = "127.0.0.1"
CONNECTIONS = 1024


class Memcached:
    """One server of our own, as a child of this process.

    `port` is where it listens, `memory_mb` (MiB) what it may fill; its log lies in `state`.
    Raises EmbeddedError, one line, for everything that a person can mend.
    """

    def __init__(self, state: Path, port: int, memory_mb: int, environ: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.memory_mb = memory_mb
        self.log = state.resolve() / "log" / "memcached.log"
        self._environ = os.environ if environ is None else environ
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`, as the setting memcached.servers has it."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of the server, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout_s: float = 20.0) -> None:
        """launch() and wait_ready(). Main thread only (see child.spawn)."""
        self.launch()
        self.wait_ready(timeout_s)

    def launch(self) -> None:
        """Start the server; does not wait until it answers."""
        if self.pid is not None:
            return
        account = child.unprivileged()
        program = programs.memcached(self._environ, account)
        if not ports.becomes_free(self.port, within_s=2.0):
            raise EmbeddedError(
                f"memcached: port {self.port} on {HOST} is taken by another program; "
                "stop that, or choose another with --port-base or the setting memcached.port"
            )
        # Not `-u nobody`: a change of user after exec would cut the tie to us. It starts as `nobody` instead.
        argv = [str(program.path), "-l", HOST, "-p", str(self.port), "-U", "0"]
        self._process = child.spawn(
            [*argv, "-m", str(self.memory_mb), "-c", str(CONNECTIONS)],
            cwd=Path("/"),
            log=self.log,
            environ=program.environ(),
            account=account,
            on_orphaned=signal.SIGKILL,  # it keeps nothing, so nothing is worth waiting for
        )

    def wait_ready(self, timeout_s: float = 20.0) -> None:
        """Return when our server, not another on its port, answers."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._process is None:
                raise RuntimeError("wait_ready() before launch()")
            if self._process.poll() is not None:
                raise EmbeddedError(f"memcached ended as it started: {child.last_complaint(self.log)} ({self.log})")
            if _pid_that_answers(self.port) == self._process.pid:
                return
            if time.monotonic() >= deadline:
                raise EmbeddedError(f"memcached does not answer on {self.address} after {timeout_s:g} s ({self.log})")
            time.sleep(0.01)

    def poll(self) -> int | None:
        """None while it runs, else its exit code (also before launch: 0). Keeps its log bounded."""
        if self._process is None:
            return 0
        child.trim_log(self.log)
        return self._process.poll()

    def stop(self) -> None:
        """End it at once; what it held is gone."""
        if self._process is not None:
            child.end(self._process, [])
            self._process = None


def _pid_that_answers(port: int) -> int | None:
    """The pid that the memcached on this port says it has; None where there is none."""
    answer = b""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(b"stats\r\n")
            while b"END\r\n" not in answer and (part := connection.recv(65_536)):
                answer += part
    except OSError:
        return None
    for line in answer.splitlines():
        if line.startswith(b"STAT pid "):
            return int(line.split()[2])
    return None
