"""Workers without the rest of a host, for books larger than the controller can lease to. What bids is real.

    shards -> real builder -> book; purses opened here -> keeper.py -> `outbid worker`, brought back when it dies

Missing is what a whole host has beside them: controller, leases, pacing, tracker, aggregator, monitor, Postgres,
memcached. CPU is that of the workers and of the windows of counters. Rows that are compared are of hosts of the same
kind, so `host_of` chooses it for a whole run.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bidder._fast.board import Board
from bidder._fast.purses import Purses
from bidder.campaigns import snapshot
from bidder.campaigns.publish import Manifest
from bidder.cli.context import make_state, save
from bidder.cli.port_base import with_port_base
from bidder.embedded.child import end, last_complaint, spawn
from bidder.money.tokens import create_keys
from bidder.settings import Settings
from bidder.supervisor import PURSES
from tests.bench import builder, servers, shards
from tests.bench.servers import CHECKOUT, VENDOR_ID, Server, family, first_core, last_core, pin
from tests.conditions import wait_until

MOST = 100_000  # campaigns of a whole host
LEASE = 10**15  # nano-USD: no purse runs dry
START_S = 300.0  # other programs may have the machine
END = [(signal.SIGTERM, 15.0)]

Host = Callable[..., AbstractContextManager[Server]]


def host_of(sizes: Sequence[int], solo: bool) -> tuple[Host, str]:
    """What all rows of a run are measured on, and what is to be said of it."""
    if solo or max(sizes) > MOST:
        return host, "outbid alone: workers and windows of counters, no controller, no leases, no pacing"
    return servers.outbid, "outbid, all of it"


def option(parser: argparse.ArgumentParser) -> None:
    """For benches that may run on such hosts."""
    parser.add_argument("--solo", action="store_true", help="no host but its workers, at any size of the book")


def settings_of(port_base: int) -> Settings:
    settings = with_port_base(Settings(), port_base)
    return replace(
        settings,
        bidder=replace(settings.bidder, connections_per_peer=0),  # one address is all exchanges
        consent=replace(settings.consent, vendor_id=VENDOR_ID),
    )


def fund(state: Path, campaigns: Sequence[int]) -> None:
    """An open lease for each, as if the controller had granted it."""
    purses = Purses(state / "shm" / "purses")
    for key in campaigns:
        slot = purses.slot_of(key)
        purses.grant(slot, 0, key, LEASE)
        purses.open_half(slot, 0)
    purses.mark_surveyed()


def prepare(state: Path, count: int, settings: Settings) -> tuple[Manifest, builder.Build]:
    """A state directory with keys, book and purses."""
    state = make_state(state)
    create_keys(state / "keys" / "token.keys")
    Purses(state / "shm" / "purses", PURSES)
    manifest = shards.make(state, count)
    with builder.serving(manifest) as url:
        built = builder.build(state, settings, url, manifest, fresh=True)
    fund(state, built.campaigns)
    return manifest, built


@contextmanager
def running(state: Path, settings: Settings, workers: int = 1) -> Iterator[Server]:
    """A prepared host at work. One worker has the first core, all else the last."""
    save(state, settings, "")
    board = Board(state / "shm" / "board")
    for row in board.rows():  # of workers that died with an earlier keeper
        board.release(row.row)

    def ready() -> list[int]:
        """Pids by row, once there are all."""
        rows = sorted(row for row in board.rows() if row.ready and row.arm == 0)
        return [row.pid for row in rows] if len(rows) == workers else []

    process = spawn(
        [sys.executable, "-m", "tests.bench.keeper", str(state), str(workers)],
        cwd=CHECKOUT, log=state / "log" / "keeper.log", environ=os.environ, account=None, on_orphaned=signal.SIGTERM,
    )  # fmt: skip
    try:
        wait_until(lambda: ready() or process.poll() is not None, START_S, "workers are ready")
        if process.poll() is not None:
            raise SystemExit(f"bench: no host:\n{last_complaint(state / 'log' / 'keeper.log')}")
        ours = ready()
        if workers == 1:
            for pid in family(process.pid):
                pin(pid, first_core() if pid in ours else last_core())
        yield Server([*ours, process.pid], f"http://{settings.bidder.listen}", state, tuple(ours))
    finally:
        end(process, END)


@contextmanager
def host(directory: Path, count: int, port_base: int, workers: int = 1) -> Iterator[Server]:
    """A host with so many campaigns, none of which runs out of money; the next of this size has the same book."""
    state, settings = directory / f"solo-{count}", settings_of(port_base)
    if snapshot.current_generation(state) is None:
        _, built = prepare(state, count, settings)
        say(f"{count} campaigns: book after {built.wall_s:.1f} s")
    with running(state, settings, workers) as server:
        yield server


def say(what: Any) -> None:
    print(what, file=sys.stderr, flush=True)
