"""A whole outbid, driven from outside: `outbid up`, verbs, HTTP, signals, /proc. No import of what it is made of.

with running(place) as host:
    host.verb("campaign", "import", ...); host.report("spend"); host.pids("worker"); host.kill("tracker")
Whoever starts one ends it: after `running` no process, data or lock of it is left. Times: seconds.
"""

import contextlib
import http.client
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg2

from tests.conditions import wait_until
from tests.free_ports import free_port_base

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLES = CHECKOUT / "examples" / "campaigns.jsonl"
ROLES = {"supervisor", "worker", "tracker", "controller", "aggregator", "monitor", "postgres", "memcached"}
DOORS = {"bid": 0, "tracker": 1, "controller": 2, "monitor": 80}  # of the ready line: offsets to the port base
METRICS = {"metrics": 5}  # likewise; not in the ready line
MEMCACHED = 211  # likewise; it works in no directory of ours
UNHURRIED = {"OUTBID_BIDDER_WAIT_BUDGET_MS": "1000"}  # no bid is withheld because a machine full of tests is slow
READY_S = 60.0
END_S = 60.0


class Host:
    """One state directory on one port base; `start()` and `end()` any number of times."""

    def __init__(
        self,
        state: Path,
        workers: int = 2,
        settings: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self.settings = settings
        # OUTBID_<SECTION>_<KEY>; where there is a file of settings, that says all.
        self.environ = (UNHURRIED if settings is None else {}) | dict(environ or {})
        self.base = free_port_base()
        self.workers = workers
        self.ready: dict[str, Any] = {}
        self.process: subprocess.Popen[str] | None = None
        self.said = ("", "")  # stdout and stderr of what ended last; the log is in there

    def start(self) -> None:
        """Return when the ready line has been read."""
        self.process = self.launch()
        self.ready = self.read_ready(self.process)

    def launch(self) -> "subprocess.Popen[str]":
        """`outbid up`, without waiting for anything."""
        argv = ["up", "--state", str(self.state), "--port-base", str(self.base), "--workers", str(self.workers)]
        if self.settings is not None:
            argv += ["--settings", str(self.settings)]
        return subprocess.Popen(
            [sys.executable, "-m", "bidder", *argv],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self.environ,
            start_new_session=True,  # a Ctrl-C for pytest is not one for it
        )

    @staticmethod
    def read_ready(process: "subprocess.Popen[str]") -> dict[str, Any]:
        """The one line of stdout; AssertionError with what it said instead."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            answered = selector.select(READY_S)
        line = process.stdout.readline() if answered else ""
        if not line:
            process.kill()
            raise AssertionError(f"no ready line; `outbid up` said:\n{process.communicate()[1]}")
        said = json.loads(line)
        assert isinstance(said, dict)
        return said

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to go; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        self.said = self.process.communicate(timeout=END_S)
        code = self.process.returncode
        self.process = None
        return code

    def verb(self, *argv: str, code: int = 0, stdin: str | None = None, timeout: float = 60.0) -> str:
        """One command line; its stdout. AssertionError unless it ends with `code`."""
        done = self.try_verb(*argv, stdin=stdin, timeout=timeout)
        assert done.returncode == code, f"outbid {' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def try_verb(
        self, *argv: str, stdin: str | None = None, timeout: float = 60.0
    ) -> "subprocess.CompletedProcess[str]":
        """One command line, however it ends."""
        return subprocess.run(
            [sys.executable, "-m", "bidder", *argv, "--state", str(self.state)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=timeout,
            check=False,
        )

    def report(self, kind: str, *argv: str, flush: bool = True) -> list[dict[str, Any]]:
        """Rows of a report; with `flush`, of one that has seen everything acknowledged before."""
        rows = json.loads(self.verb("report", kind, *argv, *(["--flush"] * flush), "--format", "json"))
        assert isinstance(rows, list)
        return rows

    def campaigns(self, *campaigns: Mapping[str, Any]) -> None:
        """Import, and return when every worker serves them."""
        text = "".join(json.dumps(campaign) + "\n" for campaign in campaigns)
        self.verb("campaign", "import", "-", "--wait", stdin=text)

    def processes(self) -> list[dict[str, Any]]:
        """Of `outbid status --json`, healthy or not."""
        rows = json.loads(self.try_verb("status", "--json").stdout)["processes"]
        assert isinstance(rows, list)
        return rows

    def pids(self, role: str) -> list[int]:
        """Of one role, as `outbid status` has them."""
        return sorted(row["pid"] for row in self.processes() if row["role"] == role)

    def connect(self, door: str = "bid") -> http.client.HTTPConnection:
        """A fresh connection, not opened yet."""
        return http.client.HTTPConnection("127.0.0.1", self.base + (DOORS | METRICS)[door], timeout=10)

    def get(self, door: str, path: str) -> tuple[int, bytes]:
        """One GET on a connection of its own; status 0 where nobody answers."""
        connection = self.connect(door)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def ask_postgres(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows, with the DSN of the ready line; none where it does not answer."""
        try:
            connection = psycopg2.connect(self.ready["postgres"], connect_timeout=2)
        except psycopg2.OperationalError:
            return []
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def homes(self) -> list[str]:
        """The state directory, and where its services keep their data."""
        links = [self.state / name for name in ("postgres", "memcached")]
        return [str(self.state), *(str(link.resolve()) for link in links if link.is_symlink())]

    def family(self) -> dict[int, str]:
        """Every living process of this state directory, by its command line or the directory that it works in."""
        homes = self.homes()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                place = str((entry / "cwd").readlink())
            except OSError:
                continue  # it has just ended, or it is another user's
            memcached = Path(words[0]).name == "memcached" and str(self.base + MEMCACHED) in words
            if memcached or any(f"{word}/".startswith(f"{home}/") for home in homes for word in (*words, place)):
                found[int(entry.name)] = " ".join(words)
        return found

    def listening(self) -> list[int]:
        """Ports of ours that somebody listens on."""
        ours = range(self.base, self.base + 500)
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sorted(port for row in rows if row[3] == "0A" and (port := int(row[1].split(":")[1], 16)) in ours)

    def erase(self) -> None:
        """Nothing of it stays: whatever still runs is killed, all data removed."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.family(), 20.0, "its processes to end with it")
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for home in reversed(self.homes()):
            shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def running(
    state: Path, workers: int = 2, settings: Path | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Host]:
    """A host that has said that it is ready; ended and erased afterwards."""
    host = Host(state, workers, settings, environ)
    try:
        host.start()
        yield host
        if host.process is not None:
            assert host.end() == 0, "`outbid up` failed; see its log"
    finally:
        host.erase()


def alive(pid: int) -> bool:
    """Not ended; a zombie counts as ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the second where it went between opening and reading
        return False
