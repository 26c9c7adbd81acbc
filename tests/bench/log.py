"""What a storm of errors costs a worker whose log's disk hangs: latency and memory, with it and without, in turns.

The log of the workers is a pipe that nobody reads while the storm lasts: whoever writes to it waits, as on a disk that
does not answer. The errors come from the loop that answers requests, so `cost` holds what calling the logger takes,
not only what the disk does. Requests are offered open loop, at a fixed rate. Afterwards the pipe is read: what its
lines say was dropped and suppressed, and what was written, is what was logged.

`p99 with / without` is the median over the turns; `grown MB` is what the worker's memory grew by in the worst storm.
On a machine that does other things too, latency says little: CPU and memory still do.
"""

import contextlib
import json
import os
import statistics
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import openloop, servers, table, wrk
from tests.bench.overload import memory_mb
from tests.free_ports import free_port_base

FLOOD = Path(__file__).parent / "flood"
SETTLE_S = 3.0


class HungLog:
    """A pipe in the place of a log file; it is read but for `hanging()`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        os.mkfifo(path, 0o600)
        self._pipe = os.open(path, os.O_RDWR)  # both ends are ours, so nobody waits to open it
        self._reads = threading.Event()
        self._reads.set()
        self._text = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            self._reads.wait()
            self._text += os.read(self._pipe, 65_536)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Nobody reads. What the reader is in still takes one more block."""
        self._reads.clear()
        try:
            yield
        finally:
            self._reads.set()

    def told(self) -> tuple[int, int]:
        """Errors of the storm that were written, and those that the log says it kept back."""
        lines = [json.loads(line) for line in self._text.split(b"\n")[:-1] if line.startswith(b"{")]
        storm = [line for line in lines if line["msg"] == "cannot reach the store"]
        kept = sum(line.get("suppressed", 0) for line in storm)
        dropped = sum(line["dropped"] for line in lines if line["msg"] == "log records dropped")
        return sum("peer" in line for line in storm), kept + dropped


def main(arguments: list[str]) -> int:
    """`scripts/bench log`."""
    parser = table.parser("log", __doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each row (default: 60)")
    parser.add_argument("--turns", type=int, default=2, help="with and without, so often (default: 2)")
    parser.add_argument("--errors", type=int, default=100_000, help="a second (default: 100000)")
    parser.add_argument("--rate", type=float, default=5_000, help="requests a second (default: 5000)")
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--port-base", type=int)
    args = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
        place, base = Path(name), args.port_base or free_port_base()
        log = HungLog(place / f"state-{base}" / "log" / "supervisor.log")
        order = place / "flood"
        os.environ |= {"PYTHONPATH": str(FLOOD), "BENCH_FLOOD": str(order)}
        mix = wrk.write_bodies(place / "mix", servers.bodies())
        with servers.outbid(place, args.campaigns, base) as server:
            plan = openloop.Plan(args.rate, args.seconds, args.connections, deadline_ms=10_000, depth=16)
            openloop.run(server, mix, plan._replace(seconds=SETTLE_S), at_ease=True)
            for _ in range(args.turns):
                rows.append(_row("quiet", server, mix, plan))
                order.write_text(str(args.errors), encoding="ascii")
                with log.hanging():
                    rows.append(_row("storm", server, mix, plan))
                order.unlink()
        written, kept = log.told()
    quiet, storm = ([row["p99 us"] for row in rows if row["log"] == kind] for kind in ("quiet", "storm"))
    grown = max(row["rss MB"] - row["rss MB before"] for row in rows if row["log"] == "storm")
    facts = table.machine() | {
        "offered/s": args.rate, "errors/s": args.errors, "seconds": args.seconds, "grown MB": round(grown, 1),
        "p99 with / without": round(statistics.median(storm) / statistics.median(quiet), 3),
        "errors written": written, "errors kept back, as the log says": kept,
        "errors/s that were logged": round((written + kept) / (args.turns * args.seconds)),
    }  # fmt: skip
    table.show(args.json, facts, rows)
    return 0


def _row(kind: str, server: servers.Server, mix: Path, plan: openloop.Plan) -> dict[str, Any]:
    cpu, memory = server.cpu_s(), memory_mb(server.workers[0])
    result = openloop.run(server, mix, plan, at_ease=True)
    spent = server.cpu_s() - cpu
    return {
        "log": kind, "answered/s": round(result["answered"]), "p50 us": result["latency_us"]["p50"],
        "p99 us": result["latency_us"]["p99"], "lag p99 us": result["lag_us"]["p99"],
        "CPU %": round(100 * spent / plan.seconds, 1), "rss MB before": round(memory, 1),
        "rss MB": round(memory_mb(server.workers[0]), 1),
    }  # fmt: skip
