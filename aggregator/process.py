"""The aggregator's process: counters from the bus and money from the stream into Postgres, for as long as it is wanted.

run() waits for the schema (somebody else migrates), then loops work side by side, each with connections of its own:
counters (bus.py), money (money.py), the spool's archive (spool_keeper.py), the night's work (nightly.py). SIGTERM and
SIGINT finish what is under way.
Without Postgres both wait and try again, forever.
"""

import asyncio
import contextlib
import platform
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

from aggregator.bus import CounterIntake
from aggregator.dedupe import spend_rules
from aggregator.ledger import Ledger
from aggregator.migrate import MigrationError, missing
from aggregator.money import MoneyIntake
from aggregator.nightly import Nightly
from aggregator.postgres import Backoff, Link
from aggregator.sources import SpoolSource
from aggregator.spool_keeper import SpoolKeeper
from bidder.events.spool import SpoolReader
from bidder.events.stream import Source
from bidder.events.targets import target_of
from bidder.ops import log as logs
from bidder.ops.control import ControlError, serve
from bidder.ops.log import first_line
from bidder.ops.presence import Presence
from bidder.ops.vitals import Vitals
from bidder.settings import Settings

ROLE = "aggregator"
SCHEMA_POLL_S = 0.3


def run(state: Path, settings: Settings, dsn: str) -> None:
    """Work until SIGTERM or SIGINT; SystemExit with one line where it cannot."""
    try:
        asyncio.run(_serve(state, settings, dsn))
    except* (MigrationError, ControlError) as group:
        raise SystemExit(f"outbid {ROLE}: {group.exceptions[0]}") from None


async def _serve(state: Path, settings: Settings, dsn: str) -> None:
    log = logs.get(ROLE)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    counters_link, money_link = Link(dsn, f"outbid {ROLE} counters"), Link(dsn, f"outbid {ROLE} money")
    counters = CounterIntake(settings.bus.hosts or (settings.bidder.bus_listen,), counters_link, log)
    spend_on = spend_rules(settings.exchanges)
    ledger = Ledger(money_link, spend_on, settings.tracking.click_window_s * 1_000)
    money = MoneyIntake(_source(state, settings), ledger, money_link, log)
    keeper = _keeper(state, settings, money, log)
    nightly = Nightly(state, settings, dsn, spend_on, log, _host(state))

    def health(request: dict[str, Any]) -> dict[str, Any]:
        parts = {"counters": counters.health(), "money": money.health()}
        if keeper is not None:
            parts["spool"] = keeper.health()
        return {"healthy": parts["counters"]["postgres"] and parts["money"]["problem"] is None} | parts

    def facts() -> dict[str, Any]:
        return {
            "counters_age_s": round(counters.age_s, 1), "windows_waiting": counters.waiting,
            "money_age_s": round(money.age_s, 1), "position": money.position,
            "shards": settings.stream.backend != "spool",
        }  # fmt: skip

    with Presence(state, ROLE), Vitals(state, ROLE, facts):
        control = await serve(state / "run" / f"{ROLE}.sock", {"health": health})
        try:
            log.info("aggregator started")
            if await _schema_is_there(Link(dsn, f"outbid {ROLE}", role=None), stop, log):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_until_failure(counters.run(stop), stop))
                    tasks.create_task(_until_failure(money.run(stop), stop))
                    if keeper is not None:
                        tasks.create_task(_until_failure(keeper.run(stop), stop))
                    if settings.nightly.at:
                        tasks.create_task(_until_failure(nightly.run(stop), stop))
            log.info("aggregator stopped")
        finally:
            counters.close()
            await control.close()


def _host(state: Path) -> str:
    """As leases name this host; a machine without bidders has no such name."""
    path = state / "host"
    return path.read_text(encoding="ascii").strip() if path.exists() else platform.node()


def _source(state: Path, settings: Settings) -> Callable[[], Source]:
    """How to begin reading the stream that the settings name."""
    if settings.stream.backend == "kinesis":
        from bidder.events.aws import client
        from bidder.events.kinesis_source import KinesisSource

        return lambda: KinesisSource(settings.stream.kinesis_stream, client("kinesis", settings.stream))
    return lambda: SpoolSource(SpoolReader(state / "spool"))


def _keeper(state: Path, settings: Settings, money: MoneyIntake, log: logs.Log) -> SpoolKeeper | None:
    """Of this host's spool, where that is the stream."""
    if settings.stream.backend != "spool":
        return None
    target = target_of(settings.stream)
    return SpoolKeeper(state / "spool", target, settings.stream.keep_s, lambda: money.position, log)


async def _until_failure(work: Any, stop: asyncio.Event) -> None:
    """A loop that fails takes the other down in order, so that the process ends and is started anew."""
    try:
        await work
    finally:
        stop.set()


async def _schema_is_there(link: Link, stop: asyncio.Event, log: logs.Log) -> bool:
    """Wait until this build's migrations are applied; False if we are to stop first."""
    backoff = Backoff()
    said: list[str] = []
    while not stop.is_set():
        try:
            lacking = await asyncio.to_thread(lambda: missing(link.connection()))
        except psycopg2.Error as error:
            link.broken()
            log.warning("Postgres is away", error=first_line(error))
            delay = backoff.failed()
        else:
            if not lacking:
                link.broken()
                return True
            if lacking != said:
                log.info("waiting for migrations", missing=lacking)
                said = lacking
            delay = SCHEMA_POLL_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)
    return False
