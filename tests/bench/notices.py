"""What does a tracker cost for notices that it has on the disk, and what does a disk that hangs cost?

A real tracker with its spool on a real disk is told win, bill and loss notices and impressions at a fixed rate, open
loop. `CPU %` is the tracker's share of one core, all threads, from the scheduler. `fsyncs/s` counts syncs of the spool.
`latency` counts from when a notice was due to the end of its answer, `lag` is how late the teller itself was.
`--hang S` freezes the disk in the middle for so long (root only: a small ext4 in a file); then every notice that was
answered is looked for in the spool. `lost` must be 0 in any case.
"""

import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bidder.money.tokens import Keys, Sealer, Token, TokenClass, create_keys, seal
from bidder.ops.control import ask
from tests.bench import servers, table
from tests.bench.teller import Told, tell
from tests.free_ports import free_port
from tests.trackers import read_all
from tests.volumes import NoVolume, Volume, mounted

KINDS = (("win", 1, True), ("bill", 2, True), ("loss", 3, True), ("imp", 4, False))
VOLUME_BYTES = 256 << 20


def notices(keys: Keys, count: int) -> tuple[list[str], list[tuple[bytes, int]]]:
    """Paths, and (bid, kind) of each; every one is the first of its kind."""
    sealer, minute = Sealer(keys), int(time.time() // 60)
    paths, said = [], []
    for n in range(count):
        word, kind, of_exchange = KINDS[n % len(KINDS)]
        bid_id = minute.to_bytes(4, "big") + secrets.token_bytes(4) + (n // len(KINDS)).to_bytes(4, "big")
        token = Token(bid_id, exchange=1, campaign=7, creative=9, lease=3, bid_price=2_000_000, taken=2_000_000)
        text = seal(sealer, TokenClass.NOTICE if of_exchange else TokenClass.PAGE, token)
        paths.append(f"/{word}/{text}?price=1.25" if of_exchange else f"/{word}/{text}")
        said.append((bid_id, kind))
    return paths, said


@contextlib.contextmanager
def tracker(state: Path, port: int) -> Iterator[servers.Server]:
    """One on the first core, with its spool in `state`."""
    url = f"http://127.0.0.1:{port}"
    os.environ["OUTBID_TRACKER_LISTEN"] = f"127.0.0.1:{port}"
    with servers._process([sys.executable, "-m", "bidder", "tracker", "--state", str(state)], url) as server:
        yield server


def measure(
    state: Path, seconds: float, rate: float, connections: int, volume: Volume | None, hang_s: float
) -> dict[str, Any]:
    """One row."""
    keys = create_keys(state / "keys" / "token.keys")
    port = free_port()
    paths, said = notices(keys, int(rate * seconds))

    def hang() -> None:
        if volume is not None:
            volume.freeze()
            time.sleep(hang_s)
            volume.thaw()

    with tracker(state, port) as server:
        os.sched_setaffinity(0, {servers.last_core()})
        control = state / "run" / "tracker.sock"
        before, cpu, began = ask(control, {"do": "health"}, 5)["commits"], server.cpu_s(), time.monotonic()
        told = tell("127.0.0.1", port, paths, rate, connections, seed=1, on_way=hang)
        lasted = time.monotonic() - began - 1.0  # the teller's head start
        cpu = server.cpu_s() - cpu
        commits = ask(control, {"do": "health"}, 5)["commits"] - before
    return row(told, len(paths), lasted, cpu, commits, missing(state, [said[n] for n in told.taken]))


def missing(state: Path, acknowledged: list[tuple[bytes, int]]) -> int:
    """How many of them the spool does not hold."""
    written = {(notice.bid_id, notice.kind) for notice in read_all(state / "spool")}
    return len(set(acknowledged) - written)


def row(told: Told, sent: int, lasted: float, cpu: float, commits: int, lost: int) -> dict[str, Any]:
    """As the table shows it."""
    latency, lag = sorted(told.latency_s), sorted(told.lag_s)

    def at(values: list[float], share: float) -> float | None:
        return round(1_000 * values[min(len(values) - 1, int(share * len(values)))], 2) if values else None

    return {
        "notices": sent,
        "taken/s": round(len(told.taken) / lasted),
        "CPU %": round(100 * cpu / lasted, 1),
        "CPU us each": round(1e6 * cpu / max(1, len(told.taken))),
        "fsyncs/s": round(commits / lasted),
        "p50 ms": at(latency, 0.5),
        "p99 ms": at(latency, 0.99),
        "p99.9 ms": at(latency, 0.999),
        "max ms": at(latency, 1.0),
        "lag p99 ms": at(lag, 0.99),
        "refused": told.refused,
        "odd": told.odd,
        "lost": lost,
    }


def main(arguments: list[str]) -> int:
    """`scripts/bench notices`; 1 where an acknowledged notice was lost."""
    parser = table.parser("notices", __doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=2_000, help="notices/s (default: 2000)")
    parser.add_argument("--connections", type=int, default=64, help="(default: 64; with --hang: 1000)")
    parser.add_argument("--hang", type=float, default=0, metavar="S", help="freeze the disk so long, as root")
    parser.add_argument("--disk", type=Path, help="directory on the disk to measure (default: that of temporary files)")
    args = parser.parse_args(arguments)
    facts = table.machine()
    with tempfile.TemporaryDirectory(prefix="outbid-bench-", dir=args.disk) as name, contextlib.ExitStack() as stack:
        state, volume = Path(name) / "state", None
        state.mkdir()
        if args.hang:
            try:
                volume = stack.enter_context(mounted(state / "spool", Path(name) / "image", VOLUME_BYTES))
            except NoVolume as why:
                print(f"bench notices: {why}", file=sys.stderr)
                return 1
        connections = max(args.connections, 1_000) if args.hang else args.connections
        found = measure(state, args.seconds, args.rate, connections, volume, args.hang)
    facts |= {"rate": args.rate, "connections": connections, "seconds": args.seconds, "hang_s": args.hang}
    table.show(args.json, facts, [found])
    return 1 if found["lost"] or found["odd"] else 0
