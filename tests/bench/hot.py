"""CPU of one request beside nginx: closed loop, the same bodies, rows taken in turns.

Rows: nginx `return 204`, Tornado's RequestHandler, outbid without a bid, outbid with a full bid at several sizes of the
book. All servers run at once, and each round measures every row once: what disturbs the machine disturbs all of them.
Shown are medians over the rounds; the ratio is the median of each round's own ratio to nginx.
CPU is what the scheduler booked on the server's processes, user and system, by the requests that wrk saw answered;
the supervisor's counts with its worker's. What is not installed is skipped, and said to be.
With more than 100,000 campaigns in any row, every outbid is one without the rest of its host (tests/bench/solo.py).
"""

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tests.bench import servers, solo, table, wrk
from tests.free_ports import free_port_base

PORT_STEP = 500


class Row(NamedTuple):
    """What is asked of whom."""

    what: str
    server: servers.Server
    bodies: Path


def arguments_of(arguments: list[str]) -> argparse.Namespace:
    parser = table.parser("hot", __doc__)
    parser.add_argument("--connections", type=table.numbers, default=[64], help="a list: 8,64,512 (default: 64)")
    parser.add_argument("--campaigns", type=table.numbers, default=[240, 1_000, 10_000],
                        help="sizes of the book (default: 240,1000,10000; 240 are the examples)")  # fmt: skip
    solo.option(parser)
    parser.add_argument("--seconds", type=float, default=2, help="of each row in each round (default: 2)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--port-base", type=int, help="of the first host; each further one 500 above (default: free ones)"
    )
    return parser.parse_args(arguments)


def start(
    args: argparse.Namespace, stack: ExitStack, directory: Path, skipped: list[str]
) -> tuple[list[Row], dict[str, Any]]:
    """Every server, and what it is asked."""
    every = servers.bodies()
    mix = wrk.write_bodies(directory / "mix", every)
    host, what = solo.host_of(args.campaigns, args.solo)
    facts: dict[str, Any] = {"host": what, "request_bytes": sum(map(len, every)) / len(every)}
    rows: list[Row] = []

    def base(n: int) -> int:
        return args.port_base + n * PORT_STEP if args.port_base else free_port_base()

    port = base(0) + 400
    if shutil.which("nginx"):
        rows.append(Row("nginx, return 204", stack.enter_context(servers.nginx(directory, port)), mix))
    else:
        skipped.append("nginx is not installed, so there is no ratio to it")
    rows.append(Row("Tornado RequestHandler, 204", stack.enter_context(servers.plain_tornado(port + 1)), mix))
    for n, count in enumerate(args.campaigns):
        server = stack.enter_context(host(directory, count, base(n)))
        bid, nobid, size = servers.sort_out(server.url, every)
        facts |= {f"bid_share_{count}": len(bid) / len(every), f"answer_bytes_{count}": size}
        for what, chosen in (("full bid", bid), ("no bid", nobid)):
            if len(chosen) < 20 or (what == "no bid" and n):
                if len(chosen) < 20:
                    skipped.append(f"{what} at {count} campaigns: only {len(chosen)} bodies of {len(every)} are such")
                continue
            path = wrk.write_bodies(directory / f"{what[:2].strip()}-{count}", chosen)
            rows.append(Row(f"outbid, {what}, {count} campaigns", server, path))
    return rows, facts


def measure(rows: list[Row], connections: int, args: argparse.Namespace) -> list[dict[str, object]]:
    """The rows in turns; medians."""
    runs: dict[str, list[wrk.Run]] = {row.what: [] for row in rows}
    for number in range(args.rounds):
        for row in rows:
            runs[row.what].append(wrk.run(row.server, row.bodies, connections, args.seconds))
            print(f"round {number + 1}, {connections} connections: {row.what}", file=sys.stderr)
    against = runs.get("nginx, return 204")
    found: list[dict[str, object]] = []
    for what, mine in runs.items():
        middle = wrk.Run(*(median(column) for column in zip(*mine, strict=True)))
        ratio = None if against is None else median(a.cpu_us / b.cpu_us for a, b in zip(mine, against, strict=True))
        found.append({
            "row": what, "conn": connections, "CPU us": middle.cpu_us, "ratio": ratio, "req/s": round(middle.rps),
            "p50 us": middle.p50_us, "p99 us": middle.p99_us, "p99.9 us": middle.p999_us, "errors": int(middle.errors),
        })  # fmt: skip
    return found


def main(arguments: list[str]) -> int:
    """`scripts/bench hot`."""
    args = arguments_of(arguments)
    if missing := wrk.missing():
        print(f"bench hot: {missing}", file=sys.stderr)
        return 1
    skipped: list[str] = []
    facts = table.machine()
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name, ExitStack() as stack:
        rows, measured = start(args, stack, Path(name), skipped)
        found = [row for connections in args.connections for row in measure(rows, connections, args)]
    table.show(args.json, facts | measured | {"rounds": args.rounds, "seconds": args.seconds}, found, skipped)
    return 0
