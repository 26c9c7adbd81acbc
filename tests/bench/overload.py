"""What still comes in time when more is offered than can be served: open loop at 0.5 to 10 times capacity.

Capacity is what wrk gets out of one worker with 64 connections and bodies that are bid on. Offered over many
connections with several requests in flight on each; where no connection has a place left, the request is lost at once
("unsent"), as it is where the server does not read. `bids <= 35 ms` is the goodput; `of peak` compares it with its
best row. An answer without a bid is what shedding looks like from outside, for these bodies. The generator's own limit
shows as `lag` and `skipped/s`: where those are large, the row says little about the server. `rss MB` is the worker's
afterwards; the last row offers half of capacity at once after the worst: back to normal.
"""

import sys
import tempfile
from pathlib import Path

from tests.bench import openloop, servers, table, wrk
from tests.free_ports import free_port_base

CAPACITY_S = 3
PAGE_KB = 4


def memory_mb(pid: int) -> float:
    """Resident, of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_KB / 1024


def main(arguments: list[str]) -> int:
    """`scripts/bench overload`."""
    parser = table.parser("overload", __doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each load (default: 5)")
    parser.add_argument("--times", default="0.5,1,2,5,10", help="of capacity (default: 0.5,1,2,5,10)")
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=512)
    parser.add_argument(
        "--depth", type=int, default=16, help="requests in flight on one connection, at most (default: 16)"
    )
    parser.add_argument("--deadline-ms", type=float, default=35)
    parser.add_argument("--capacity", type=float, help="requests/s, where it is known (default: measured)")
    parser.add_argument("--port-base", type=int)
    args = parser.parse_args(arguments)
    if not args.capacity and (missing := wrk.missing()):
        print(f"bench overload: {missing}; or say --capacity", file=sys.stderr)
        return 1
    good = f"bids <= {args.deadline_ms:g} ms"
    times = [float(part) for part in args.times.split(",")]
    facts, rows = table.machine(), []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
        base = args.port_base or free_port_base()
        with servers.outbid(Path(name), args.campaigns, base) as server:
            bid, _, _ = servers.sort_out(server.url, servers.bodies())
            chosen = wrk.write_bodies(Path(name) / "bid", bid)
            capacity = args.capacity or wrk.run(server, chosen, 64, CAPACITY_S).rps
            for load in [*times, 0.5]:
                plan = openloop.Plan(
                    capacity * load, args.seconds, args.connections, args.depth, deadline_ms=args.deadline_ms
                )
                before = server.cpu_s()
                result = openloop.run(server, chosen, plan)
                spent = server.cpu_s() - before
                rows.append({
                    "load": f"{load:g} x", "offered/s": round(result["offered"]), "skipped/s": round(result["skipped"]),
                    "unsent/s": round(result["unsent"]), "sent/s": round(result["sent"]),
                    "answered/s": round(result["answered"]), good: round(result["bids_in_time"]),
                    "of peak": 0.0, "in time": round(result["in_time"]),
                    "CPU us/answer": spent / max(1, result["answered"] * args.seconds) * 1e6,
                    "p50 ms": result["latency_us"]["p50"] / 1e3, "p99 ms": result["latency_us"]["p99"] / 1e3,
                    "lag p99 ms": result["lag_us"]["p99"] / 1e3, "closed": result["closed"],
                    "rss MB": round(memory_mb(server.workers[0]), 1),
                })  # fmt: skip
    peak = max(float(str(row[good])) for row in rows)
    rows = [row | {"of peak": float(str(row[good])) / max(1.0, peak)} for row in rows]
    facts |= {"campaigns": args.campaigns, "connections": args.connections, "depth": args.depth, "capacity": capacity}
    table.show(args.json, facts | {"seconds": args.seconds}, rows)
    return 0
