"""One and two workers: CPU of a request, and what memory each further worker costs.

The book is one mapping that all workers of a host share: PSS counts shared pages by their share, `private` what a
worker has alone. Where load and workers share the cores, requests/s say little; CPU a request depends less on that.
`spread` is the busiest worker's share of the CPU by the mean's: 1.00 is even.
With more than 100,000 campaigns in any row, every host is one of workers only (tests/bench/solo.py).
"""

import sys
import tempfile
from pathlib import Path

from tests.bench import servers, solo, table, wrk
from tests.free_ports import free_port_base


def memory(pid: int) -> dict[str, float]:
    """MB by kind, of one process."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, value, _ = line.split()
        found[name.rstrip(":")] = int(value) / 1024
    return found


def main(arguments: list[str]) -> int:
    """`scripts/bench scale`."""
    parser = table.parser("scale", __doc__)
    parser.add_argument("--workers", type=table.numbers, default=[1, 2])
    parser.add_argument("--campaigns", type=table.numbers, default=[1_000], help="sizes of the book: 1000,1000000")
    solo.option(parser)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--port-base", type=int)
    args = parser.parse_args(arguments)
    if missing := wrk.missing():
        print(f"bench scale: {missing}", file=sys.stderr)
        return 1
    host, what = solo.host_of(args.campaigns, args.solo)
    facts, rows = table.machine() | {"host": what}, []
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
        mix = wrk.write_bodies(Path(name) / "mix", servers.bodies())
        for count in args.campaigns:
            for workers in args.workers:
                base = args.port_base or free_port_base()
                with host(Path(name), count, base, workers) as server:
                    alone = [servers.Server([pid], server.url) for pid in server.workers]
                    before = [one.cpu_s() for one in alone]
                    run = wrk.run(server, mix, args.connections, args.seconds)
                    spent = [one.cpu_s() - was for one, was in zip(alone, before, strict=True)]
                    sizes = [memory(pid) for pid in server.workers]
                private = max(size["Private_Clean"] + size["Private_Dirty"] for size in sizes)
                rows.append({
                    "campaigns": count, "workers": workers, "CPU us": run.cpu_us, "req/s": round(run.rps),
                    "spread": max(spent) * len(spent) / max(1e-9, sum(spent)), "errors": int(run.errors),
                    "rss MB": max(size["Rss"] for size in sizes), "pss MB": max(size["Pss"] for size in sizes),
                    "private MB": private,
                })  # fmt: skip
    table.show(args.json, facts | {"connections": args.connections, "seconds": args.seconds}, rows)
    return 0
