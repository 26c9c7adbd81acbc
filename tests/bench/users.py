"""What a user store that is slow or silent does to the latency of bids: open-loop load, memcached behind a proxy.

The same load is offered with the store as it is, with every answer later by so many milliseconds, and with no answer at
all. Bids for campaigns with caps ask it for their users, behind the request. `asked` and `unanswered` are what the
supervisor has of it, `dropped` users of which too many waited.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from bidder.embedded.memcached import Memcached
from bidder.ops import control
from tests.bench import openloop, servers, table, wrk
from tests.free_ports import free_port, free_port_base
from tests.slow_proxy import in_front_of

PATIENCE_MS = 10_000
COUNTS = ("asked", "unanswered", "dropped")


def _counts(server: servers.Server) -> dict[str, int]:
    assert server.state is not None
    found: dict[str, Any] = control.ask(server.state / "run" / "supervisor.sock", {"do": "status"}, 5.0)["users"]
    return {name: int(found.get(name, 0)) for name in COUNTS}


def main(arguments: list[str]) -> int:
    """`scripts/bench users`."""
    parser = table.parser("users", __doc__)
    parser.add_argument("--rate", type=float, default=5_000, help="requests a second (default: 5,000)")
    parser.add_argument("--seconds", type=float, default=10, help="of each load (default: 10)")
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--delays", type=table.numbers, default=[0, 2, 20], help="ms on every answer; then none at all")
    args = parser.parse_args(arguments)
    facts, rows = table.machine(), []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
        memcached = Memcached(Path(name), free_port(), memory_mb=64)
        memcached.start()
        try:
            with in_front_of(memcached.address) as proxy:
                os.environ |= {"OUTBID_MEMCACHED_SERVERS": proxy.address, "OUTBID_USERS_FRESH_S": "1"}
                mix = wrk.write_bodies(Path(name) / "mix", servers.bodies())
                with servers.outbid(Path(name), args.campaigns, free_port_base()) as server:
                    plan = openloop.Plan(args.rate, args.seconds, 64, 16, deadline_ms=PATIENCE_MS)
                    for delay in (*args.delays, None):
                        proxy.delay_s = None if delay is None else delay / 1_000
                        before = _counts(server)
                        result = openloop.run(server, mix, plan, at_ease=True)
                        after = _counts(server)
                        row: dict[str, Any] = {"store": "silent" if delay is None else f"+{delay} ms"}
                        row |= {"answered/s": round(result["answered"]), "bids/s": round(result["bids"])}
                        row |= {f"latency {q} us": result["latency_us"][q] for q in ("p50", "p99", "p99.9")}
                        rows.append(row | {name: after[name] - before[name] for name in COUNTS})
                        proxy.delay_s = 0.0
        finally:
            for variable in ("OUTBID_MEMCACHED_SERVERS", "OUTBID_USERS_FRESH_S"):
                os.environ.pop(variable, None)
            memcached.stop()
    facts |= {"campaigns": args.campaigns, "rate": args.rate, "seconds": args.seconds}
    table.show(args.json, facts, rows)
    return 0
