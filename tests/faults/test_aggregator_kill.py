"""A real aggregator process that is killed, and loses Postgres, in the middle of its work: every total stays exact."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
import pytest

from aggregator.migrate import migrate
from bidder.events.bus import Publisher
from bidder.events.schema import Deltas, Kind, Notice, NoticeKind, Row
from bidder.events.spool import Spool
from bidder.ops.control import ask
from bidder.ops.presence import present
from tests import free_ports
from tests.conditions import wait_until
from tests.reference.booking import Books, keep_books

pytestmark = pytest.mark.faults

RULES = {1: NoticeKind.BILL}
MINUTE = 29_000_000
PROGRAM = """
import sys
from pathlib import Path
from aggregator.process import run
from bidder.settings import load
run(Path(sys.argv[1]), load(None), sys.argv[2])
"""


class Aggregator:
    """The process, started again as often as a test likes."""

    def __init__(self, state: Path, dsn: str, bus: str) -> None:
        self.state = state
        self.dsn = dsn
        self._bus = bus
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = dict(os.environ) | {"OUTBID_BIDDER_BUS_LISTEN": self._bus}
        with (self.state / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(self.state), self.dsn], env=environ, stderr=log
            )

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(15)
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self.end(signal.SIGKILL)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as db, db, db.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def position(self) -> int:
        return int(self.query("SELECT coalesce(max(position), 0) FROM ops.stream")[0][0])


@pytest.fixture
def aggregator(tmp_path: Path, database: str) -> Iterator[Aggregator]:
    migrate(database)
    with closing(psycopg2.connect(database)) as db, db, db.cursor() as cursor:
        cursor.execute("INSERT INTO config.exchange VALUES (1, 'generic', 'billing')")
    made = Aggregator(tmp_path, database, f"127.0.0.1:{free_ports.free_port()}")
    yield made
    made.close()


def traffic(bids: int, seed: int) -> list[Notice]:
    """Wins, bills, impressions of many bids, one in five sent twice, out of order."""
    chance = random.Random(seed)
    sent = []
    for bid in range(bids):
        numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {
            **{"exchange": 1, "campaign": bid % 7 + 1, "creative": 1, "lease": bid % 5 + 1, "received_ms": 1},
            **{"price": chance.randrange(1, 900), "bid_price": 900, "taken": 900},
        }
        bid_id = (MINUTE + bid // 500).to_bytes(4, "big") + bid.to_bytes(8, "big")
        for kind in (NoticeKind.WIN, NoticeKind.BILL, NoticeKind.IMPRESSION):
            sent += [Notice(**(numbers | {"kind": int(kind), "bid_id": bid_id}))] * (1 + (chance.random() < 0.2))
    chance.shuffle(sent)
    return sent


def spooled(state: Path, notices: list[Notice]) -> int:
    spool = Spool(state / "spool")
    acknowledged = [spool.append(msgspec.msgpack.encode(notice)) for notice in notices]
    end = max((future.result(30) for future in acknowledged), default=0)
    spool.close()
    return end


def check_money(aggregator: Aggregator, truth: Books) -> None:
    spend = dict(aggregator.query("SELECT campaign, sum(spend_nano)::int FROM rollup.notice_minute GROUP BY 1"))
    assert spend == truth.spend
    leases = aggregator.query("SELECT lease, minute, spent_nano, closed_nano FROM ledger.lease_minute")
    assert {(lease, minute): [spent, closed] for lease, minute, spent, closed in leases} == dict(truth.leases)
    counts = aggregator.query("SELECT sum(wins)::int, sum(bills)::int, sum(impressions)::int FROM rollup.notice_minute")
    assert list(counts[0]) == [sum(n for (_, kind), n in truth.counts.items() if kind == k) for k in (1, 2, 4)]
    assert aggregator.query("SELECT sum(balance_nano)::int FROM ledger.balance") == [(0,)]


def test_money_is_exact_after_kills_in_the_middle_of_batches(aggregator: Aggregator) -> None:
    sent = traffic(4_000, seed=1)
    end = spooled(aggregator.state, sent)
    moved = [0]
    for _ in range(3):
        aggregator.start()
        wait_until(lambda: aggregator.position() > moved[-1] or aggregator.position() == end, 20, "the next batch")
        aggregator.end(signal.SIGKILL)
        moved.append(aggregator.position())
    assert moved[1] < end, "the first kill came too late to be in the middle"
    aggregator.start()
    wait_until(lambda: aggregator.position() == end, 20, "the end of the stream")
    check_money(aggregator, keep_books(sent, RULES))


def test_money_is_booked_where_no_time_is_set_for_the_nights_work(
    aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBID_NIGHTLY_AT", "")
    sent = traffic(500, seed=3)
    end = spooled(aggregator.state, sent)
    aggregator.start()
    wait_until(lambda: aggregator.position() == end, 20, "the end of the stream")
    check_money(aggregator, keep_books(sent, RULES))
    more = traffic(900, seed=4)[-50:]
    end = spooled(aggregator.state, more)
    wait_until(lambda: aggregator.position() == end, 20, "what came later")
    assert aggregator.end(signal.SIGTERM) == 0


def test_money_is_exact_after_its_connections_are_cut(aggregator: Aggregator) -> None:
    sent = traffic(3_000, seed=2)
    end = spooled(aggregator.state, sent)
    aggregator.start()
    cut = 0
    deadline = time.monotonic() + 20
    while aggregator.position() < end:
        assert time.monotonic() < deadline
        if cut < 4:
            cut += aggregator.query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'outbid aggregator money' AND datname = current_database()"
            )[0][0]
    assert cut >= 2
    check_money(aggregator, keep_books(sent, RULES))


class Host:
    """The bus of one bidder host on a thread: sends some windows live, has most of them again when asked."""

    producer = "host-1"

    def __init__(self, address: str, never: set[int]) -> None:
        self.seq = 0
        self.asked = 0
        self._address = address
        self._never = never
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Host":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def messages(self, epoch: int, first: int, last: int) -> Iterator[bytes]:
        self.asked += 1
        for seq in range(first, min(last, self.seq) + 1):
            if seq not in self._never:
                yield msgspec.msgpack.encode(window(seq))

    async def _run(self) -> None:
        publisher = Publisher(self._address, self)  # type: ignore[arg-type]  # all that it needs of an outbox
        serving = asyncio.create_task(publisher.run())
        while not self._stop.is_set():
            self.seq += 1
            if self.seq % 7 and self.seq not in self._never:  # one in seven gets lost on the way
                publisher.publish(window(self.seq))
            await asyncio.sleep(0.02)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        publisher.close()


def window(seq: int) -> Deltas:
    numbers = dict.fromkeys(Row.__struct_fields__, 0) | {"exchange": 1, "minute": MINUTE + seq // 50}
    rows = [Row(**(numbers | {"kind": Kind.REQUEST, "n": seq})), Row(**(numbers | {"kind": Kind.BID, "n": 1}))]
    return Deltas(Host.producer, 5, seq, 1_000 * seq, rows)


def test_counters_are_exact_after_kills_and_losses_but_for_what_is_declared(aggregator: Aggregator) -> None:
    def mark() -> int:
        return int(aggregator.query("SELECT coalesce(max(seq), 0) FROM ops.progress")[0][0])

    never = {25, 26}
    with Host(aggregator._bus, never) as host:
        for until in (5, 15):
            aggregator.start()
            wait_until(lambda until=until: mark() >= until, 20, f"window {until}")
            aggregator.end(signal.SIGKILL)
        aggregator.start()
        wait_until(lambda: mark() > 100, 20, "window 100")
        assert aggregator.end(signal.SIGTERM) == 0
    reached = mark()
    kept = [seq for seq in range(1, reached + 1) if seq not in never]
    counted = aggregator.query("SELECT sum(requests)::int, sum(bids)::int FROM rollup.traffic_minute")
    assert counted == [(sum(kept), len(kept))]
    assert aggregator.query("SELECT first_seq, last_seq, after_ms, before_ms FROM ops.gap") == [
        (25, 26, 24_000, 27_000)
    ]
    assert host.asked > 0


def test_it_waits_for_the_schema_says_how_it_is_and_leaves_nothing_behind(tmp_path: Path, database: str) -> None:
    aggregator = Aggregator(tmp_path, database, f"127.0.0.1:{free_ports.free_port()}")
    with closing(aggregator):
        aggregator.start()
        socket = tmp_path / "run" / "aggregator.sock"
        wait_until(socket.exists, 15, "the control socket")
        spooled(tmp_path, [])
        migrate(database)
        health = wait_until(lambda: _healthy(socket), 15, "health")
        assert health["money"]["problem"] is None
        assert [process["role"] for process in present(tmp_path)] == ["aggregator"]
        assert aggregator.end(signal.SIGTERM) == 0
    assert present(tmp_path) == []
    assert not socket.exists()


def _healthy(socket: Path) -> dict[str, Any] | None:
    answer = ask(socket, {"do": "health"}, 5)
    return answer if answer["healthy"] and answer["money"]["stream"] else None
