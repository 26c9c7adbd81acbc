"""What a canary costs those who read: CPU of a stable worker's request, with a slice and without one.

One host of one worker on the first core; workers of arm 1 (canary) and arm 2 (baseline), of the same build, on the
last. With the slice on and off in turns, the same bodies, closed loop; each round has both, and the ratio is the
median of the rounds' own. CPU is that of the worker that reads, by the requests that wrk saw answered. Every body has
an id of its own, which is its `device.ifa` as well, so the share of requests that left is known and not drawn.
"""

import json
import os
import random
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bidder._fast.board import Board
from bidder._fast.slice import bucket
from bidder.embedded.child import end, spawn
from tests.bench import servers, solo, table, wrk
from tests.conditions import wait_until
from tests.free_ports import free_port_base

BODIES = 4_000
ROWS = {1: 40, 2: 41}  # of the board, by arm
END = [(signal.SIGTERM, 10.0)]


def named(bodies: list[bytes], count: int) -> list[tuple[bytes, bytes]]:
    """(key, body) of so many requests, no two of one user."""
    draw = random.Random(1)
    found = []
    for n in range(count):
        key = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        body = json.loads(bodies[n % len(bodies)]) | {"id": key}
        if isinstance(body.get("device"), dict):
            body["device"]["ifa"] = key
        found.append((key.encode(), json.dumps(body, separators=(",", ":")).encode()))
    return found


@contextmanager
def arms(state: Path, board: Board) -> Iterator[list[int]]:
    """Workers of both arms; their pids."""
    processes = [
        spawn(
            [sys.executable, "-m", "bidder", "worker", "--row", str(row), "--arm", str(arm), "--state", str(state)],
            cwd=servers.CHECKOUT, log=state / "log" / f"arm-{arm}.log", environ=os.environ, account=None,
            on_orphaned=signal.SIGKILL,
        )
        for arm, row in ROWS.items()
    ]  # fmt: skip
    try:
        wait_until(lambda: len([row for row in board.rows() if row.ready and row.arm]) == len(ROWS), 60, "the arms")
        for process in processes:
            servers.pin(process.pid, servers.last_core())
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            end(process, END)


def cut(board: Board, share: float) -> None:
    """So much for each of both arms."""
    size = round(share * 10_000)
    board.set_arm(1, begin=0, end=size, doors=[ROWS[1]], wait_us=50_000)
    board.set_arm(2, begin=10_000 - size, end=10_000, doors=[ROWS[2]], wait_us=50_000)


def measure(server: servers.Server, board: Board, bodies: Path, args: Any) -> list[dict[str, object]]:
    """With and without, in turns."""
    reader = servers.Server(list(server.workers), server.url, server.state, server.workers)
    runs: dict[float, list[wrk.Run]] = {0.0: [], args.share: []}
    for number in range(args.rounds):
        for share, mine in runs.items():
            cut(board, share)
            mine.append(wrk.run(reader, bodies, args.connections, args.seconds))
            print(f"round {number + 1}: {share:.0%} to each arm", file=sys.stderr)
    cut(board, 0)
    found: list[dict[str, object]] = []
    for share, mine in runs.items():
        middle = wrk.Run(*(median(column) for column in zip(*mine, strict=True)))
        ratio = median(a.cpu_us / b.cpu_us for a, b in zip(mine, runs[0.0], strict=True))
        found.append({
            "to each arm": share, "CPU us": middle.cpu_us, "ratio": ratio, "req/s": round(middle.rps),
            "p50 us": middle.p50_us, "p99 us": middle.p99_us, "errors": int(middle.errors),
        })  # fmt: skip
    return found


def main(arguments: list[str]) -> int:
    """`scripts/bench canary`."""
    parser = table.parser("canary", __doc__)
    parser.add_argument("--share", type=float, default=0.01, help="of the traffic, to each arm (default: 0.01)")
    parser.add_argument("--campaigns", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(arguments)
    if missing := wrk.missing():
        print(f"bench canary: {missing}", file=sys.stderr)
        return 1
    facts = table.machine()
    with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        server = stack.enter_context(solo.host(directory, args.campaigns, free_port_base()))
        assert server.state is not None
        board = Board(server.state / "shm" / "board")
        stack.enter_context(arms(server.state, board))
        bid, _, _ = servers.sort_out(server.url, servers.bodies())
        chosen = named(bid, BODIES)
        size = round(args.share * 10_000)
        facts["left"] = sum(not size <= bucket(key) < 10_000 - size for key, _ in chosen) / len(chosen)
        path = wrk.write_bodies(directory / "bodies", [body for _, body in chosen])
        found = measure(server, board, path, args)
    table.show(args.json, facts | {"rounds": args.rounds, "seconds": args.seconds}, found)
    return 0
