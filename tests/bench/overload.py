"""What still comes in time when more is offered than can be served: open loop at 0.5 to 10 times capacity.

Capacity is what wrk gets out of one worker with 64 connections and bodies that are bid on. Offered over many
connections with several requests in flight on each; where no connection has a place left, the request is lost at once
("unsent"), as it is where the server does not read. `bids <= 35 ms` is the goodput; `of peak` compares it with its
best row. An answer without a bid is what shedding looks like from outside, for these bodies. The generator's own limit
shows as `lag`, `unseen` and `skipped/s`: where those are large, the row says little about the server. `rss MB` is the
worker's, before the row and after it.

The last row is what the load's end is like: after the worst, half of capacity, on the same connections. The row counts
what was due from then on; `back ms` is when bids in time were 95 % of what was offered again, for half a second at
least. With --json each row has its goodput for every 100 ms.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import openloop, servers, table, wrk
from tests.free_ports import free_port_base

CAPACITY_S = 3
PAGE_KB = 4
RATES = ("offered", "skipped", "unsent", "sent", "answered")
AFTERWARDS = 0.5  # of capacity
LATE_MS = 5  # what the generator sends is nearly as fresh as it was offered, also where it cannot send all


def memory_mb(pid: int) -> float:
    """Resident, of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_KB / 1024


def row(load: str, server: servers.Server, bodies: Path, plan: openloop.Plan) -> dict[str, Any]:
    """One plan carried out; `of peak` comes when all are."""
    memory, cpu = memory_mb(server.workers[0]), server.cpu_s()
    result = openloop.run(server, bodies, plan)
    spent = None if plan.seconds_before else server.cpu_s() - cpu
    back = openloop.back_to_normal_ms(result["per_100_ms"])
    return {
        "load": load, **{f"{what}/s": round(result[what]) for what in RATES},
        f"no {good(plan)}": round(result["nobids_in_time"]), good(plan): round(result["bids_in_time"]),
        "of peak": 0.0, "CPU us/answer": spent and spent / max(1, result["answered"] * plan.seconds) * 1e6,
        "p50 ms": result["latency_us"]["p50"] / 1e3, "p99 ms": result["latency_us"]["p99"] / 1e3,
        "lag p99 ms": result["lag_us"]["p99"] / 1e3, "unseen p99 ms": result["unseen_us"]["p99"] / 1e3,
        "closed": result["closed"], "rss MB": round(memory, 1), "rss MB after": round(memory_mb(server.workers[0]), 1),
        "back ms": ("never" if back is None else back) if plan.seconds_before else None,
        "per_100_ms": result["per_100_ms"],
    }  # fmt: skip


def good(plan: openloop.Plan) -> str:
    """The column of the goodput."""
    return f"bids <= {plan.deadline_ms:g} ms"


def main(arguments: list[str]) -> int:
    """`scripts/bench overload`."""
    parser = table.parser("overload", __doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each load (default: 5)")
    parser.add_argument("--times", default="0.5,1,2,5,10", help="of capacity (default: 0.5,1,2,5,10)")
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=512, help="(default: 512)")
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
    times = [float(part) for part in args.times.split(",")]
    facts, rows = table.machine(), []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
        base = args.port_base or free_port_base()
        with servers.outbid(Path(name), args.campaigns, base) as server:
            bid, _, _ = servers.sort_out(server.url, servers.bodies())
            chosen = wrk.write_bodies(Path(name) / "bid", bid)
            capacity = args.capacity or wrk.run(server, chosen, 64, CAPACITY_S).rps
            plan = openloop.Plan(capacity, args.seconds, args.connections, args.depth, args.deadline_ms, LATE_MS)
            for load in times:
                rows.append(row(f"{load:g} x", server, chosen, plan._replace(rate=capacity * load)))
            last = plan._replace(
                rate=capacity * AFTERWARDS, rate_before=capacity * max(times), seconds_before=args.seconds
            )
            rows.append(row(f"{AFTERWARDS:g} x after {max(times):g} x", server, chosen, last))
    peak = max(1, *(found[good(plan)] for found in rows))
    for found in rows:
        found["of peak"] = found[good(plan)] / peak
        if not args.json:
            del found["per_100_ms"]
    facts |= {"campaigns": args.campaigns, "connections": args.connections, "depth": args.depth, "capacity": capacity}
    table.show(args.json, facts | {"seconds": args.seconds}, rows)
    return 0
