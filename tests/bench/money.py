"""Dedupe and ledger: what a million money events cost, with a day's history of bids in the database.

    spool with the events -> a real aggregator (`outbid aggregator`'s process) -> a Postgres of its own

A day of 432 million bids (5,000 a second) has 18 million in the hour that is being written. That hour's leaf of
ledger.bid is filled with as many rows (`--bids-an-hour`), so that its index is as large and as deep as on such a day;
so is the hour before, that late notices go to. The other 22 leaves of the day are there and empty: no event of the
run touches them, nor would it on a real day. Rollups begin with rows of the minutes before (`--rollup-rows`).

Each bid has a win, a bill and an impression, one in a hundred a click; two of a hundred come again, one in fifty is of
the hour before. Campaigns are drawn as traffic has them: few have much, many have little (Zipf). Aggregator and its
Postgres backend are pinned to one core; `core %` is what 5,000 events a second take of it, by accounted CPU time of
both, checkpoints and the writing of logs included. `wall/s` says something only where nothing else runs.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg2

from aggregator.migrate import migrate
from aggregator.money import BATCH_NOTICES
from bidder.embedded.postgres import Postgres
from bidder.events.schema import Notice, NoticeKind
from bidder.events.spool import Spool
from tests import free_ports
from tests.bench import table
from tests.bench.servers import family, last_core, pin

RATE = 5_000
STUCK_S = 60.0
TICKS = os.sysconf("SC_CLK_TCK")
CAMPAIGNS = 10_000
EXCHANGES, COUNTRIES, SYSTEMS, SIZES = 8, 12, 4, 6
PAID, REPEATED, OF_BEFORE, CLICKED = 0.97, 0.02, 0.02, 0.01
APART = 3_000  # events between a win and its bill: some 0.6 s
PROGRAM = """
import sys
from pathlib import Path
from aggregator import money
from aggregator.process import run
from bidder.settings import load
money.BATCH_NOTICES = int(sys.argv[3])
run(Path(sys.argv[1]), load(None), sys.argv[2])
"""
LEAF = """
CREATE TABLE ledger.{leaf} (LIKE ledger.bid INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = 80);
INSERT INTO ledger.{leaf} (bid_id, kinds, closed, exchange, campaign, lease, bid_nano, taken_nano, spent_nano, spent_at)
SELECT decode(lpad(to_hex({minute} + n * {minutes} / {rows}), 8, '0') || lpad(to_hex(n % 8), 10, '0')
        || lpad(to_hex(n / 8 % 16777216), 6, '0'), 'hex'),
    11, true, n % 8 + 1, n % 10000 + 1, n % 10000 + 1, 2000000, 2000000, 1500000, now()
FROM generate_series(0, {rows} - 1) n;
ALTER TABLE ledger.{leaf} ADD PRIMARY KEY (bid_id);
ALTER TABLE ledger.bid ATTACH PARTITION ledger.{leaf} FOR VALUES FROM ('\\x{low:08x}') TO ('\\x{high:08x}');
"""
DAYS = """
SELECT ops.ensure_partition('rollup.notice_minute', 'notice_minute_' || to_char(d, 'YYYYMMDD'), d::text,
    (d + interval '1 day')::text)
FROM generate_series(date_trunc('day', to_timestamp({second}) - interval '2 days'), to_timestamp({second}), '1 day') d
"""
ROLLUP = """
INSERT INTO rollup.notice_minute (minute, exchange, arm, format, os, country, w, h, campaign, creative, deal, inventory,
    wins, bills, impressions, spend_nano)
SELECT to_timestamp(({minute} - 1 - n / 20000) * 60), n % 8 + 1, 0, 1, n % 4, n % 12, 300, 250, n % 20000 / 2 + 1,
    n % 20000 + 1, 0, 0, 1, 1, 1, 1500000
FROM generate_series(0, {rows} - 1) n ON CONFLICT DO NOTHING
"""


def prepare(dsn: str, hour: int, bids_an_hour: int, rollup_rows: int) -> None:
    """A database on such a day: campaigns, their leases, the history. `hour`: UTC hours since 1970."""
    migrate(dsn)
    minute = 60 * hour + 59  # the one that is being written
    with closing(psycopg2.connect(dsn)) as db:
        for sql in (
            "INSERT INTO config.exchange (key, name) SELECT n, 'x' || n FROM generate_series(1, 8) n",
            "INSERT INTO config.advertiser (id, fee_ppm) SELECT 'a' || n, n % 5 * 10000 FROM generate_series(1, 500) n",
            "INSERT INTO config.campaign (id, advertiser, status, body, revision)"
            f" SELECT 'c' || n, n % 500 + 1, 'active', '{{}}', 1 FROM generate_series(1, {CAMPAIGNS}) n",
            "INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
            f" SELECT n, 'h', to_timestamp({hour} * 3600), to_timestamp({hour} * 3600)::date, 10^14, now(), now(), 1"
            f" FROM generate_series(1, {CAMPAIGNS}) n",
        ):
            _run(db, sql)
        for before in range(24):
            begins = 60 * (hour - before)
            rows = bids_an_hour if before < 2 else 0
            leaf = time.strftime("bid_%Y%m%d%H", time.gmtime(begins * 60))
            edges = {"low": begins, "high": begins + 60, "minute": begins, "minutes": 59 if before == 0 else 60}
            _run(db, LEAF.format(leaf=leaf, rows=max(1, rows), **edges))
        _run(db, DAYS.format(second=hour * 3600))
        _run(db, ROLLUP.format(minute=minute, rows=rollup_rows))
        db.autocommit = True
        _run(db, "VACUUM ANALYZE")


def _run(db: Any, sql: str) -> None:
    with db.cursor() as cursor:
        cursor.execute(sql)
    if not db.autocommit:
        db.commit()


def events(count: int, hour: int, seed: int = 7) -> Iterator[Notice]:
    """So many notices, a bill and an impression some way behind their win."""
    chance = random.Random(seed)
    weights = [1 / (rank + 10) for rank in range(CAMPAIGNS)]
    chosen = chance.choices(range(1, CAMPAIGNS + 1), weights, k=count)
    now_ms = int(time.time() * 1000)
    waiting: list[tuple[int, Notice]] = []
    made = number = 0
    while made < count:
        campaign = chosen[number % count]
        minute = 60 * hour + 59 - (60 if chance.random() < OF_BEFORE else 0)
        bid_id = minute.to_bytes(4, "big") + (0xA0 + number % 8).to_bytes(5, "big") + (number // 8).to_bytes(3, "big")
        price = 1_000_000 + chance.randrange(1_500_000)
        numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {
            **{"bid_id": bid_id, "received_ms": now_ms, "exchange": chance.randrange(EXCHANGES) + 1, "format": 1},
            **{"os": chance.randrange(SYSTEMS), "country": chance.randrange(COUNTRIES), "campaign": campaign},
            **{"w": 300 + chance.randrange(SIZES), "h": 250, "creative": 2 * campaign + number % 2, "lease": campaign},
            **{"bid_price": price + 500_000, "taken": price + 500_000},
        }
        number += 1
        own = [Notice(**(numbers | {"kind": NoticeKind.WIN, "price": price}))]
        if chance.random() < PAID:
            own += [Notice(**(numbers | {"kind": kind, "price": price if kind == NoticeKind.BILL else 0}))
                    for kind in (NoticeKind.BILL, NoticeKind.IMPRESSION)]  # fmt: skip
        if chance.random() < CLICKED:
            own.append(Notice(**(numbers | {"kind": NoticeKind.CLICK})))
        if chance.random() < REPEATED:
            own.append(own[-1])
        waiting += [(made + APART * place, notice) for place, notice in enumerate(own)]
        waiting.sort(key=lambda entry: entry[0])
        while waiting and waiting[0][0] <= made and made < count:
            yield waiting.pop(0)[1]
            made += 1


def spooled(state: Path, count: int, hour: int) -> int:
    """The events in a spool; the position of its end."""
    spool = Spool(state / "spool")
    last = None
    for number, notice in enumerate(events(count, hour)):
        last = spool.append(msgspec.msgpack.encode(notice))
        if number % 10_000 == 0:
            last.result(60)
    assert last is not None
    last.result(60)
    position = spool.durable
    spool.close()
    return position


def cpu_s(pids: list[int]) -> float:
    """User and system time of these processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


@contextmanager
def aggregator(state: Path, dsn: str, batch: int) -> Iterator[int]:
    """The process, which books up to `batch` notices at once; its pid."""
    environ = dict(os.environ) | {"OUTBID_BIDDER_BUS_LISTEN": f"127.0.0.1:{free_ports.free_port()}"}
    with (state / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(state), dsn, str(batch)], env=environ, stderr=log
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def measure(postgres: Postgres, state: Path, count: int, hour: int, batch: int) -> dict[str, Any]:
    """Events through a real aggregator."""
    end = spooled(state, count, hour)
    server, dsn = postgres.pid, postgres.dsn
    assert server is not None
    with closing(psycopg2.connect(dsn)) as db, aggregator(state, dsn, batch) as pid:
        db.autocommit = True
        with db.cursor() as cursor:
            _wait(cursor, 1, state / "log")
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'outbid aggregator money'")
            for one in (pid, *(backend for (backend,) in cursor.fetchall())):
                pin(one, last_core())
            from_position, booked = _place(cursor)
            before, began = (cpu_s([pid]), cpu_s(family(server))), time.monotonic()
            _wait(cursor, end, state / "log")
            wall = time.monotonic() - began
            ours, theirs = cpu_s([pid]) - before[0], cpu_s(family(server)) - before[1]
            after_position, total = _place(cursor)
            assert after_position == end > from_position
            cursor.execute("SELECT coalesce(sum(balance_nano), 0)::text, count(*) FROM ledger.balance")
            assert cursor.fetchone()[0] == "0"
    done = total - booked
    return {
        "events": done,
        "batch": batch,
        "aggregator CPU s/100k": ours / done * 1e5,
        "postgres CPU s/100k": theirs / done * 1e5,
        "us/event": (ours + theirs) / done * 1e6,
        f"core % at {RATE}/s": (ours + theirs) / done * RATE * 100,
        "wall/s": done / wall,
    }


def _place(cursor: Any) -> tuple[int, int]:
    cursor.execute("SELECT coalesce(max(position), 0), coalesce(max(notices), 0) FROM ops.stream")
    position, notices = cursor.fetchone()
    return int(position), int(notices)


def _wait(cursor: Any, position: int, log: Path) -> None:
    """Until the stream is booked so far; SystemExit, with what the aggregator said last, where nothing moves."""
    last, moved = -1, time.monotonic()
    while (reached := _place(cursor)[0]) < position:
        if reached > last:
            last, moved = reached, time.monotonic()
        elif time.monotonic() - moved > STUCK_S:
            raise SystemExit(f"the aggregator does not get on: {log.read_text().strip().splitlines()[-1:]}")
        time.sleep(0.02)


def main(arguments: list[str]) -> int:
    """`scripts/bench money`."""
    parser = table.parser("money", __doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--bids-an-hour", type=int, default=18_000_000, help="rows of the leaves that are touched")
    parser.add_argument("--batch", type=int, default=BATCH_NOTICES, help="events booked at once, at most")
    parser.add_argument("--rollup-rows", type=int, default=3_000_000, help="of the day, in rollup.notice_minute")
    args = parser.parse_args(arguments)
    facts = table.machine()
    with tempfile.TemporaryDirectory(prefix="outbid-money-") as temporary:
        state = Path(temporary) / "state"
        state.mkdir()
        postgres = Postgres(Path(temporary) / "postgres", free_ports.free_port())
        postgres.start()
        try:
            hour = int(time.time()) // 3600 - 1
            print(f"preparing {2 * args.bids_an_hour:,} bids of history", file=sys.stderr)
            prepare(postgres.dsn, hour, args.bids_an_hour, args.rollup_rows)
            row = measure(postgres, state, args.events, hour, args.batch)
        finally:
            postgres.stop()
            postgres.erase()
    table.show(args.json, facts | {"bids an hour": args.bids_an_hour}, [row])
    return 0
