"""Closed-loop load: wrk on the last core, each connection with one request at a time."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.servers import Server, last_core

LUA = """
local requests, n, i = {}, 0, 0
function init(args) -- before this there is no Host
  local headers = {["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json"}
  for line in io.lines(os.getenv("OUTBID_BENCH_BODIES")) do
    n = n + 1
    requests[n] = wrk.format("POST", "/bid/generic", headers, line)
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


class Run(NamedTuple):
    """One run over one server."""

    cpu_us: float  # a request, user and system
    rps: float
    p50_us: float
    p99_us: float
    p999_us: float
    errors: float


def missing() -> str | None:
    """What of the load generator is not installed, as a line for the user."""
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed; as root: apt-get install -y wrk util-linux"
    return None


def write_bodies(path: Path, bodies: Sequence[bytes]) -> Path:
    """As wrk reads them."""
    path.write_bytes(b"\n".join(bodies) + b"\n")
    return path


def run(server: Server, bodies: Path, connections: int, seconds: float) -> Run:
    """Load for so long, after a short warm-up."""
    script = bodies.with_name("load.lua")
    script.write_text(LUA, encoding="utf-8")
    _wrk(server.url, bodies, connections, 1, script)
    before = server.cpu_s()
    result = _wrk(server.url, bodies, connections, max(1, round(seconds)), script)
    spent = server.cpu_s() - before
    return Run(
        cpu_us=spent / max(1, result["requests"]) * 1e6,
        rps=result["requests"] / result["duration_us"] * 1e6,
        p50_us=result["p50_us"],
        p99_us=result["p99_us"],
        p999_us=result["p999_us"],
        errors=result["errors"],
    )


def _wrk(url: str, bodies: Path, connections: int, seconds: int, script: Path) -> dict[str, int]:
    environ = os.environ | {"OUTBID_BENCH_BODIES": str(bodies)}
    command = ["taskset", "-c", str(last_core()), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script)]
    done = subprocess.run(
        [*command, url], env=environ, capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    result: dict[str, int] = json.loads(done.stdout.rpartition("RESULT ")[2])
    return result
