"""A book's cost: to make, to change, to open, to share between workers, and to come back with when one is killed.

Made by the real builder from shards that lie on disk, by as many processes as there are cores: `CPU s` is of all of
them, `MB` theirs at once, without pages of files. Phases: parts (with the start and a look at each shard), merge,
check. `edit` is the next book after one campaign has changed: one part, and the merge. `open` is of a book that was
checked in this boot, `whole` of one that was not. Workers are real, the rest of their host is missing (solo.py).
`private` is what a second worker has alone after both have had the same bids, `anon` the part that is not of files;
`more` what is private beyond the least of all rows; `tables` the kernel's page tables for it, which are in neither.
`back` is from kill -9 of the only worker to the next 200 on a new connection, each time on a host that has just begun.
"""

import http.client
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from statistics import median
from typing import Any

from bidder._fast.book import Book
from bidder.campaigns import snapshot
from tests.bench import builder, servers, shards, solo, table
from tests.bench.scale import memory
from tests.free_ports import free_port_base

OPENINGS = 5
CONNECTIONS = 4  # so many that two workers have one each at least
PATIENCE_S = 30.0
MB = 1 << 20


def seconds(what: Callable[[], object], times: int = 1) -> float:
    """Of one call, the median of several."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        took.append(time.perf_counter() - began)
    return median(took)


def bid(server: servers.Server, bodies: Sequence[bytes]) -> None:
    """All of them on each connection: a page of the book that one worker alone has touched would count as its own."""
    address = server.url.removeprefix("http://")
    connections = [http.client.HTTPConnection(address) for _ in range(CONNECTIONS)]
    for body in bodies:
        for connection in connections:
            connection.request("POST", "/bid/generic", body)
            connection.getresponse().read()
    for connection in connections:
        connection.close()


def tables_mb(pid: int) -> float:
    """The kernel's page tables of one process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in status if line.startswith("VmPTE:")) / 1024


def back_ms(server: servers.Server, body: bytes) -> float:
    """Kill the worker; milliseconds to a bid on a new connection, asked for every one of them."""
    address = server.url.removeprefix("http://")
    began = time.perf_counter()
    os.kill(server.workers[0], signal.SIGKILL)
    while time.perf_counter() - began < PATIENCE_S:
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/bid/generic", body)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return (time.perf_counter() - began) * 1000
        time.sleep(0.001)
    raise SystemExit(f"bench book: no bid within {PATIENCE_S:g} s of a kill")


def measure(directory: Path, count: int, kills: int) -> dict[str, Any]:
    """One size; the row of the table."""
    state, settings = directory / f"book-{count}", solo.settings_of(free_port_base())
    began = time.monotonic()
    manifest, made = solo.prepare(state, count, settings)
    ready = time.monotonic() - began - made.wall_s
    solo.say(f"{count} campaigns: book after {made.wall_s:.1f} s; shards and purses took {ready:.1f} s")
    changed = shards.edited(state, manifest)
    with builder.serving(changed) as url:
        edit = builder.build(state, settings, url, changed, fresh=False)
    path = snapshot.path_of(state, edit.generation)
    opened = seconds(lambda: snapshot.current(state), OPENINGS)
    whole = seconds(lambda: Book.open(path))
    every = servers.bodies()
    with solo.running(state, settings, workers=2) as server:
        bid(server, every)
        second, tables = memory(server.workers[1]), tables_mb(server.workers[1])
    back = []
    for _ in range(kills):
        with solo.running(state, settings) as server:
            asked, _, _ = servers.sort_out(server.url, every[:200])
            back.append(back_ms(server, asked[0]))
    return {
        "campaigns": count, "build s": made.wall_s, "parts s": made.parts_s, "merge s": made.merge_s,
        "check s": made.check_s, "CPU s": made.cpu_s, "MB": round(made.memory_mb), "book MB": round(made.bytes / MB),
        "edit s": edit.wall_s, "edit CPU s": edit.cpu_s, "open ms": opened * 1000, "whole s": whole,
        "private MB": second["Private_Clean"] + second["Private_Dirty"], "anon MB": second["Anonymous"],
        "pss MB": second["Pss"],
        "tables MB": tables,
        "back ms": median(back), "worst ms": max(back),
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    """`scripts/bench book`."""
    parser = table.parser("book", __doc__)
    parser.add_argument("--campaigns", type=table.numbers, default=[1_000, 100_000],
                        help="sizes of the book (default: 1000,100000); a million takes some four minutes")  # fmt: skip
    parser.add_argument("--kills", type=int, default=5, help="of a worker, at each size (default: 5)")
    args = parser.parse_args(arguments)
    facts, rows = table.machine(), []
    for count in args.campaigns:
        with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
            rows.append(measure(Path(name), count, args.kills))
    least = min(row["private MB"] for row in rows)
    for row in rows:
        row["more MB"] = row["private MB"] - least
    table.show(args.json, facts | {"kills": args.kills}, rows)
    return 0
