"""Latency under open-loop load at shares of the measured capacity, from each request's intended time.

Capacity is what wrk gets out of one worker with 64 connections; then 25, 50 and 80 % of it are offered, with the mix
of requests as it comes. Where no connection is free, a request goes behind another one: none is left out because others
are late. `latency` counts from when a request was due, `service` from when it was sent. `lag` is how late the generator
itself sent, `unseen` how long at most an answer lay there before it looked: both bound what `latency` can show.
`--swaps` changes a campaign every so many seconds meanwhile: the book is swapped under load.
"""

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.bench import openloop, servers, table, wrk
from tests.bench.campaigns import bodies as campaign_bodies
from tests.free_ports import free_port_base

CAPACITY_S = 3
PATIENCE_MS = 10_000  # nothing is left out because it is late


@contextlib.contextmanager
def swapping(server: servers.Server, campaign: str, every_s: float) -> Iterator[list[str]]:
    """Meanwhile the campaign is paused and resumed again and again; the list grows by one verb each time."""
    done: list[str] = []
    stop = threading.Event()

    def swap() -> None:
        assert server.state is not None
        while not stop.wait(every_s):
            verb = ("pause", "resume")[len(done) % 2]
            servers.verb(server.state, "campaign", verb, campaign)  # whose leases may take longer than the book
            done.append(verb)

    thread = threading.Thread(target=swap)
    if every_s:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        if every_s:
            thread.join()
            if len(done) % 2 and server.state is not None:
                servers.verb(server.state, "campaign", "resume", campaign)


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
    parser.add_argument("--port-base", type=int)
    args = parser.parse_args(arguments)
    if not args.capacity and (missing := wrk.missing()):
        print(f"bench latency: {missing}; or say --capacity", file=sys.stderr)
        return 1
    facts, rows = table.machine(), []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
        mix = wrk.write_bodies(Path(name) / "mix", servers.bodies())
        campaign = next(campaign_bodies(args.campaigns))["id"]
        base = args.port_base or free_port_base()
        with servers.outbid(Path(name), args.campaigns, base) as server:
            capacity = args.capacity or wrk.run(server, mix, 64, CAPACITY_S).rps
            for share in args.shares:
                plan = openloop.Plan(
                    capacity * share / 100, args.seconds, args.connections, args.depth, deadline_ms=PATIENCE_MS
                )
                with swapping(server, campaign, args.swaps) as swaps:
                    result = openloop.run(server, mix, plan, at_ease=True)
                row = {
                    "load": f"{share} %",
                    "offered/s": round(result["offered"]),
                    "answered/s": round(result["answered"]),
                }
                for what in ("latency", "service", "lag", "unseen"):
                    row |= {f"{what} {q} us": result[f"{what}_us"][q] for q in ("p50", "p99", "p99.9", "max")}
                rows.append(row | {"unsent/s": result["unsent"] + result["skipped"], "swaps": len(swaps)})
    facts |= {
        "campaigns": args.campaigns,
        "connections": args.connections,
        "depth": args.depth,
        "capacity": capacity,
        "seconds": args.seconds,
    }
    table.show(args.json, facts, rows)
    return 0
