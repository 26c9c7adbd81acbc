"""What one request costs: outbid's worker beside nginx, closed loop, the same bodies from wrk.

CPU is what the scheduler has booked on the server's processes, user and system, divided by the requests that wrk saw
answered; the supervisor's counts with its worker's. Server on one core, load on the other where there are two.
What is not installed is skipped, and said to be.
"""

import argparse
import http.client
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bidder.simulator.traffic import requests
from tests import free_ports
from tests.conditions import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
BODIES = 2_000
SEED = 11

LUA = """
local requests, n, i = {}, 0, 0
function init(args) -- before this there is no Host
  local headers = {["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json"}
  for line in io.lines(os.getenv("OUTBID_BENCH_BODIES")) do
    n = n + 1
    requests[n] = wrk.format("POST", os.getenv("OUTBID_BENCH_PATH"), headers, line)
  end
end
function request()
  i = i % n + 1
  return requests[i]
end
function done(summary, latency, all)
  local e = summary.errors
  local form = '{"requests": %d, "duration_us": %d, "errors": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}'
  io.write(string.format("\\nRESULT " .. form .. "\\n",
    summary.requests, summary.duration, e.connect + e.read + e.write + e.timeout + e.status,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    cpu_us: float  # a request, user and system
    rps: float
    p50_us: int
    p99_us: int
    p999_us: int
    errors: int
    ratio: float | None = None  # of cpu_us to nginx's


def cpu_s(pids: Sequence[int]) -> float:
    """Time on a processor of these processes and their threads so far, in seconds; the scheduler's own count."""
    threads = [path for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(path.read_text(encoding="ascii").split()[0]) for path in threads) / 1e9


def load(url: str, path: str, bodies: Path, connections: int, seconds: int, script: Path) -> dict[str, int]:
    """One run of wrk, on the last core."""
    last = max(os.sched_getaffinity(0))
    environ = os.environ | {"OUTBID_BENCH_BODIES": str(bodies), "OUTBID_BENCH_PATH": path}
    command = ["taskset", "-c", str(last), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=seconds + 60)
    result: dict[str, int] = json.loads(done.stdout.rpartition("RESULT ")[2])
    return result


def measure(
    what: str, pids: Sequence[int], url: str, path: str, bodies: Path, args: argparse.Namespace, script: Path
) -> Row:
    """Warm up, then one counted run."""
    load(url, path, bodies, args.connections, 1, script)
    before = cpu_s(pids)
    result = load(url, path, bodies, args.connections, args.seconds, script)
    spent = cpu_s(pids) - before
    return Row(
        what=what,
        cpu_us=spent / max(1, result["requests"]) * 1e6,
        rps=result["requests"] / result["duration_us"] * 1e6,
        p50_us=result["p50_us"],
        p99_us=result["p99_us"],
        p999_us=result["p999_us"],
        errors=result["errors"],
    )


@contextmanager
def nginx(directory: Path) -> Iterator[tuple[int, str]]:
    """(pid, url) of one nginx process that answers 204 to everything."""
    port = free_ports.free_port()
    config = directory / "nginx.conf"
    config.write_text(
        f"""worker_processes 1; master_process off; daemon off;
        pid {directory}/nginx.pid; error_log {directory}/nginx.err;
        events {{ worker_connections 2048; }}
        http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
          client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fcgi;
          uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
          server {{ listen 127.0.0.1:{port} backlog=4096; return 204; }} }}""",
        encoding="utf-8",
    )
    process = subprocess.Popen(["nginx", "-p", str(directory), "-c", str(config)], stderr=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    try:
        wait_until(lambda: _answers(port), 10, "nginx answers")
        yield process.pid, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _answers(port: int) -> bool:
    with suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", "/healthz")
        return connection.getresponse().status in (200, 204)
    return False


@contextmanager
def outbid(directory: Path, campaigns: Path) -> Iterator[tuple[list[int], str]]:
    """([worker, supervisor], url) of a host with one worker on the first core, all else on the last."""
    command = [sys.executable, "-m", "bidder", "up", "--state", str(directory / "state"), "--workers", "1"]
    command += ["--port-base", str(free_ports.free_port_base())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=CHECKOUT)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        importing = [sys.executable, "-m", "bidder", "campaign", "import", str(campaigns), "--wait"]
        subprocess.run(
            [*importing, "--state", str(directory / "state")], check=True, cwd=CHECKOUT, stdout=subprocess.DEVNULL
        )
        cores = os.sched_getaffinity(0)
        for role, pids in ready["pids"].items():
            for pid in pids:
                os.sched_setaffinity(pid, {min(cores) if role == "worker" else max(cores)})
        yield [*ready["pids"]["worker"], *ready["pids"]["supervisor"]], ready["bid"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def unlimited(path: Path) -> None:
    """The example campaigns without limits: a purse that runs dry would make the bench measure no-bids."""
    lines = (CHECKOUT / "examples" / "campaigns.jsonl").read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            campaign = json.loads(line) | {"budget": {"total_usd": "1000000000"}}
            file.write(json.dumps(campaign) + "\n")


def answers(url: str, bodies: Sequence[bytes]) -> tuple[list[bytes], list[bytes], float]:
    """Bodies that are bid on, those that are not, and the mean size of a bid's answer in bytes."""
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    bid, nobid, size = [], [], 0
    for body in bodies:
        connection.request("POST", "/bid/generic", body)
        answer = connection.getresponse()
        size += len(answer.read())
        (bid if answer.status == 200 else nobid).append(body)
    return bid, nobid, size / max(1, len(bid))


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 where something that is needed is missing."""
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"bench hot: {tool} is not installed; as root: apt-get install -y wrk util-linux", file=sys.stderr)
            return 1
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-", dir=CHECKOUT) as name:
        directory = Path(name)
        script, bodies, campaigns = directory / "load.lua", directory / "bodies", directory / "campaigns.jsonl"
        script.write_text(LUA, encoding="utf-8")
        every = list(itertools.islice(requests(SEED), BODIES))
        bodies.write_bytes(b"\n".join(every) + b"\n")
        unlimited(campaigns)
        if shutil.which("nginx") is None:
            print("bench hot: nginx is not installed, so there is no ratio to it", file=sys.stderr)
        else:
            with nginx(directory) as (pid, url):
                rows.append(measure("nginx, return 204", [pid], url, "/bid/generic", bodies, args, script))
        with outbid(directory, campaigns) as (pids, url):
            bid, nobid, size = answers(url, every)
            rows.append(measure("outbid, mix as it comes", pids, url, "/bid/generic", bodies, args, script))
            for what, chosen in (("outbid, full bid", bid), ("outbid, no bid", nobid)):
                bodies.write_bytes(b"\n".join(chosen) + b"\n")
                rows.append(measure(what, pids, url, "/bid/generic", bodies, args, script))
        if shutil.which("nginx") is not None:
            rows = [Row(**asdict(row) | {"ratio": row.cpu_us / rows[0].cpu_us}) for row in rows]
    facts = {
        "campaigns": len((CHECKOUT / "examples" / "campaigns.jsonl").read_text(encoding="utf-8").splitlines()),
        "bid_share": len(bid) / len(every),
        "request_bytes": sum(map(len, every)) / len(every),
        "answer_bytes": size,
        "connections": args.connections,
        "seconds": args.seconds,
    }
    if args.json:
        print(json.dumps({"facts": facts, "rows": [asdict(row) for row in rows]}))
        return 0
    print(
        f"{facts['campaigns']} campaigns, {facts['request_bytes']:.0f} byte requests, bids on {facts['bid_share']:.0%} "
        f"of the mix, {size:.0f} byte answers, {args.connections} connections, {args.seconds} s a row"
    )
    print(f"{'':<26} {'CPU µs':>8} {'ratio':>6} {'req/s':>9} {'p50 µs':>8} {'p99 µs':>8} {'p99.9':>8} {'errors':>6}")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        print(
            f"{row.what:<26} {row.cpu_us:>8.2f} {ratio:>6} {row.rps:>9.0f} {row.p50_us:>8} {row.p99_us:>8} "
            f"{row.p999_us:>8} {row.errors:>6}"
        )
    return 0


def main() -> int:
    """`scripts/bench hot`."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("bench", choices=["hot"], help="hot: CPU of one request beside nginx")
    parser.add_argument("--seconds", type=int, default=10, help="of each row (default: 10)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
