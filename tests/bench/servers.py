"""What is measured: nginx, a plain Tornado server, outbid hosts; each on the first core, all else on the last.

with nginx(...) | plain_tornado(...) | outbid(...) as server: server.cpu_s(), server.url
A server's CPU is what the scheduler has booked on its processes and threads; of outbid's, on workers and supervisor.
"""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bidder.simulator.traffic import requests
from tests.bench.campaigns import bodies as campaign_bodies
from tests.conditions import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
BODIES = 4_000
SEED = 11
VENDOR_ID = 755  # on the list that the consent strings of the bodies are of, so that they are read
ENVIRONMENT = {
    "OUTBID_BIDDER_CONNECTIONS_PER_PEER": "0",  # one address is all exchanges at once
    "OUTBID_CONSENT_VENDOR_ID": str(VENDOR_ID),
}
START_S = 300.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running one."""

    pids: list[int]
    url: str
    state: Path | None = None  # of an outbid host
    workers: tuple[int, ...] = ()

    def cpu_s(self) -> float:
        """Seconds on a processor so far."""
        tasks = [path for pid in self.pids for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(path.read_text(encoding="ascii").split()[0]) for path in tasks) / 1e9


def first_core() -> int:
    return min(os.sched_getaffinity(0))


def last_core() -> int:
    return max(os.sched_getaffinity(0))


def bodies(count: int = BODIES) -> list[bytes]:
    """Synthetic bid requests of 1 to 2 kB, always the same."""
    return list(itertools.islice(requests(SEED), count))


def _answers(url: str, path: str = "/healthz") -> bool:
    with suppress(OSError):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=1)
        connection.request("GET", path)
        return connection.getresponse().status < 500
    return False


def pin(pid: int, core: int) -> None:
    """A process, all its threads and what they will start."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {core})


def family(pid: int) -> list[int]:
    """The process, its children, theirs, and so on."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


@contextmanager
def _process(command: list[str], url: str) -> Iterator[Server]:
    process = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    try:
        pin(process.pid, first_core())
        wait_until(lambda: _answers(url), 20, f"{command[0]} answers")
        yield Server([process.pid], url)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@contextmanager
def nginx(directory: Path, port: int) -> Iterator[Server]:
    """One process that answers 204 to everything."""
    config = directory / "nginx.conf"
    config.write_text(
        f"""worker_processes 1; master_process off; daemon off;
        pid {directory}/nginx.pid; error_log {directory}/nginx.err;
        events {{ worker_connections 4096; }}
        http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
          client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fcgi;
          uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
          server {{ listen 127.0.0.1:{port} backlog=4096; return 204; }} }}""",
        encoding="utf-8",
    )
    with _process(["nginx", "-p", str(directory), "-c", str(config)], f"http://127.0.0.1:{port}") as server:
        yield server


@contextmanager
def plain_tornado(port: int) -> Iterator[Server]:
    """Tornado as one would use it: a RequestHandler on uvloop that answers 204."""
    command = [sys.executable, "-m", "tests.bench.plain_tornado", str(port)]
    with _process(command, f"http://127.0.0.1:{port}") as server:
        yield server


@contextmanager
def outbid(directory: Path, count: int, port_base: int, workers: int = 1, **settings: str) -> Iterator[Server]:
    """A host with so many campaigns, none of which runs out of money: a dry purse would make it measure no-bids.

    `settings` as in the environment. Workers on the first core (where there is one of them), its other processes on
    the last.
    """
    state = directory / f"state-{port_base}"
    command = [sys.executable, "-m", "bidder", "up", "--state", str(state), "--workers", str(workers)]
    process = subprocess.Popen(
        [*command, "--port-base", str(port_base)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=CHECKOUT,
        env=os.environ | ENVIRONMENT | settings,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: `{' '.join(command)}` did not start")
        ready = json.loads(line)
        verb(state, "campaign", "import", str(_campaign_file(directory, count)), "--wait")
        if workers == 1:
            for pid in family(process.pid):
                pin(pid, first_core() if pid in ready["pids"]["worker"] else last_core())
        ours = ready["pids"]["worker"]
        yield Server([*ours, *ready["pids"]["supervisor"]], ready["bid"], state, tuple(ours))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def verb(state: Path, *arguments: str) -> None:
    """An operator's verb on this host, where the workers are not."""
    command = ["taskset", "-c", str(last_core()), sys.executable, "-m", "bidder", *arguments, "--state", str(state)]
    subprocess.run(command, check=True, cwd=CHECKOUT, stdout=subprocess.DEVNULL, timeout=START_S)


def _campaign_file(directory: Path, count: int) -> Path:
    path = directory / f"campaigns-{count}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for body in campaign_bodies(count):
            file.write(json.dumps(body) + "\n")
    return path


def sort_out(url: str, every: Sequence[bytes]) -> tuple[list[bytes], list[bytes], float]:
    """Bodies that are bid on, those that are not, and the mean size of a bid's answer in bytes."""
    bid, nobid, size = [], [], 0
    with closing(http.client.HTTPConnection(url.removeprefix("http://"))) as connection:
        for body in every:
            connection.request("POST", "/bid/generic", body)
            answer = connection.getresponse()
            size += len(answer.read())
            (bid if answer.status == 200 else nobid).append(body)
    return bid, nobid, size / max(1, len(bid))
