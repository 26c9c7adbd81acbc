"""Latency under open-loop load at shares of the measured capacity, from each request's intended time.

Capacity is what wrk gets out of one worker with 64 connections; then 25, 50 and 80 % of it are offered, with the mix
of requests as it comes. Where no connection is free, a request goes behind another one: none is left out because others
are late. `latency` counts from when a request was due, `service` from when it was sent. `lag` is how late the generator
itself sent, `unseen` how long at most an answer lay there before it looked: both bound what `latency` can show.
nginx's `return 204` is offered the same: what it too is late by is the machine's doing. `--cpu-scheduling rr` lets
nginx and the worker go before all ordinary processes of their core, as `bidder.cpu_scheduling` does.
`--swaps` changes a campaign every so many seconds meanwhile: the book is swapped under load.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from bidder.ops.priority import LOWEST
from tests.bench import openloop, servers, table, wrk
from tests.bench.campaigns import bodies as campaign_bodies
from tests.free_ports import free_port_base

CAPACITY_S = 3
PATIENCE_MS = 10_000  # nothing is left out because it is late


@contextlib.contextmanager
def swapping(state: Path | None, campaign: str, every_s: float) -> Iterator[list[str]]:
    """Meanwhile the campaign of the host, if it is one, is paused and resumed again and again; the list grows by one
    verb each time."""
    done: list[str] = []
    if state is None or not every_s:
        yield done
        return
    stop = threading.Event()

    def swap() -> None:
        while not stop.wait(every_s):
            verb = ("pause", "resume")[len(done) % 2]
            servers.verb(state, "campaign", verb, campaign)  # whose leases may take longer than the book
            done.append(verb)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()
        if len(done) % 2:
            servers.verb(state, "campaign", "resume", campaign)


def go_first(workers: Sequence[int], others: Sequence[int]) -> None:
    """Workers have done it by their setting; others have none for that. SystemExit: we may not."""
    try:
        for pid in others:
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(LOWEST))
        may = all(os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR for pid in workers)
    except PermissionError:
        may = False
    if not may:
        raise SystemExit("bench latency: --cpu-scheduling rr takes root, or RLIMIT_RTPRIO (ulimit -r 1)")


def main(arguments: list[str]) -> int:
    """`scripts/bench latency`."""
    parser = table.parser("latency", __doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each load (default: 10)")
    parser.add_argument("--shares", type=table.numbers, default=[25, 50, 80], help="of capacity, in per cent")
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--depth", type=int, default=16, help="requests on one connection, at most (default: 16)")
    parser.add_argument("--capacity", type=float, help="requests/s, where it is known (default: measured)")
    parser.add_argument("--swaps", type=float, default=0, metavar="S", help="change a campaign every S seconds")
    parser.add_argument("--cpu-scheduling", choices=("other", "rr"), default="other", help="(default: other)")
    parser.add_argument("--port-base", type=int)
    args = parser.parse_args(arguments)
    if not args.capacity and (missing := wrk.missing()):
        print(f"bench latency: {missing}; or say --capacity", file=sys.stderr)
        return 1
    facts, rows, skipped = table.machine(), [], []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name, contextlib.ExitStack() as stack:
        place = Path(name)
        mix = wrk.write_bodies(place / "mix", servers.bodies())
        campaign = next(campaign_bodies(args.campaigns))["id"]
        policy = {"OUTBID_BIDDER_CPU_SCHEDULING": args.cpu_scheduling}
        host = servers.outbid(place, args.campaigns, args.port_base or free_port_base(), **policy)
        outbid = stack.enter_context(host)
        capacity = args.capacity or wrk.run(outbid, mix, 64, CAPACITY_S).rps
        whom = {"outbid": outbid}
        if shutil.which("nginx"):
            whom = {"nginx, return 204": stack.enter_context(servers.nginx(place, free_port_base()))} | whom
        else:
            skipped.append("nginx is not installed, so nothing tells what the machine itself is late by")
        if args.cpu_scheduling == "rr":
            go_first(outbid.workers, [pid for server in whom.values() if server is not outbid for pid in server.pids])
        for share in args.shares:
            plan = openloop.Plan(
                capacity * share / 100, args.seconds, args.connections, args.depth, deadline_ms=PATIENCE_MS
            )
            for who, server in whom.items():
                with swapping(server.state, campaign, args.swaps) as swaps:
                    result = openloop.run(server, mix, plan, at_ease=True)
                row = {
                    "who": who,
                    "load": f"{share} %",
                    "offered/s": round(result["offered"]),
                    "answered/s": round(result["answered"]),
                }
                for what in ("latency", "service", "lag", "unseen"):
                    row |= {f"{what} {q} us": result[f"{what}_us"][q] for q in ("p50", "p99", "p99.9", "max")}
                rows.append(row | {"unsent/s": result["unsent"] + result["skipped"], "swaps": len(swaps)})
    facts |= {
        "cpu_scheduling": args.cpu_scheduling,
        "campaigns": args.campaigns,
        "connections": args.connections,
        "depth": args.depth,
        "capacity": capacity,
        "seconds": args.seconds,
    }
    table.show(args.json, facts, rows, skipped)
    return 0
