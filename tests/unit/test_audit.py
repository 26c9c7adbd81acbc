"""The audit trail: whatever was done is in Postgres once, whoever was away or killed meanwhile."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psycopg2
import pytest
import tornado.httpserver
from psycopg2.extensions import connection as Connection

from bidder.campaigns.publish import Publication
from bidder.controller import audit
from bidder.controller.application import application
from bidder.money.wire import LeaseState, LeaseSync
from bidder.ops.audit import FILE, SENT, AuditRecord, AuditTrail
from bidder.ops.audit_sender import BATCH, AuditSender
from tests.free_ports import free_port

Value = TypeVar("Value")
HOST = "0123456789ab"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "host").write_text(f"{HOST}\n")
    return tmp_path


def subjects(trail: AuditTrail) -> list[str]:
    return [record.subject for record in trail.read()]


def test_records_are_numbered_and_say_who_did_what_when(state: Path) -> None:
    trail = AuditTrail(state, clock=lambda: 1_000.5)
    trail.record("ann", "switch", "openx", off=True)
    trail.record("supervisor", "canary end", "c1", outcome="rolled back", low=float("-inf"))
    first, second = trail.read()
    assert (first.host, first.at_ms, first.actor, first.verb) == (HOST, 1_000_500, "ann", "switch")
    assert first.detail == {"off": True}
    assert second.seq == first.seq + 1
    assert second.detail == {"outcome": "rolled back", "low": None}
    assert trail.read(after=first.seq) == [second]


def test_many_processes_that_record_at_once_get_a_number_each(state: Path) -> None:
    def write(writer: int) -> None:
        trail = AuditTrail(state)
        for number in range(10):
            trail.record("w", "say", f"{writer}.{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    records = AuditTrail(state).read()
    assert [record.seq for record in records] == list(range(records[0].seq, records[0].seq + 40))
    assert {record.subject for record in records} == {f"{w}.{n}" for w in range(4) for n in range(10)}


def test_what_a_crash_left_half_written_is_replaced_by_the_next_record(state: Path) -> None:
    trail = AuditTrail(state)
    trail.record("a", "do", "one")
    with (state / FILE).open("ab") as file:
        file.write(b'{"host":"0123456789ab","seq":99,"at_ms":1,"pi')
    assert subjects(trail) == ["one"]
    trail.record("a", "do", "two")
    assert subjects(trail) == ["one", "two"]


def test_a_line_that_somebody_damaged_costs_no_other(state: Path) -> None:
    trail = AuditTrail(state)
    trail.record("a", "do", "one")
    with (state / FILE).open("ab") as file:
        file.write(b"nonsense\n")
    trail.record("a", "do", "two")
    assert subjects(trail) == ["one", "two"]


def test_a_record_longer_than_a_block_is_found_again(state: Path) -> None:
    trail = AuditTrail(state)
    trail.record("a", "do", "long", text="x" * 300_000)
    trail.record("a", "do", "short")
    first, second = trail.read()
    assert second.seq == first.seq + 1


def test_numbers_are_not_used_twice_where_the_files_were_removed(state: Path) -> None:
    now = 1_000.0
    trail = AuditTrail(state, clock=lambda: now)
    trail.record("a", "do", "one")
    (before,) = trail.read()
    (state / FILE).unlink()
    now += 10
    trail.record("a", "do", "two")
    (after,) = trail.read()
    assert after.seq > before.seq
    trail.acknowledge(after.seq)
    (state / FILE).unlink()
    trail.record("a", "do", "three")
    assert trail.read()[0].seq == after.seq + 1


def test_what_was_sent_goes_when_the_file_is_large_and_what_was_not_stays(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bidder.ops.audit.TRIM_ABOVE", 1_000)
    monkeypatch.setattr("bidder.ops.audit.KEEP", 600)
    trail = AuditTrail(state)
    for number in range(20):
        trail.record("a", "do", str(number))
    first = trail.read()[0].seq
    trail.acknowledge(first + 9)
    assert subjects(trail) == [str(number) for number in range(10, 20)]
    trail.acknowledge(first + 19)
    kept = subjects(trail)
    assert kept == [str(number) for number in range(20 - len(kept), 20)]
    assert 1 <= len(kept) <= 5
    trail.record("a", "do", "20")
    assert trail.read()[-1].seq == first + 20


def test_what_cannot_be_written_is_said_whole_and_the_act_goes_on(
    state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (state / FILE).mkdir()
    trail = AuditTrail(state)
    said: list[dict[str, object]] = []
    trail._log.error = lambda msg, **fields: said.append(fields)  # type: ignore[method-assign,assignment]
    trail.record("ann", "switch", "openx", off=True)
    assert said[0]["record"] == {"actor": "ann", "verb": "switch", "subject": "openx", "detail": {"off": True}}


class Office:
    """A controller that can do nothing but keep the audit."""

    ready = True
    published: Publication | None = None

    def __init__(self, db: Connection) -> None:
        self.db = db
        self.away = False
        self.asked = 0

    async def sync(self, request: LeaseSync) -> LeaseState:
        raise AssertionError("not asked here")

    async def audit(self, records: list[AuditRecord]) -> None:
        self.asked += 1
        if self.away:
            raise psycopg2.OperationalError("away")
        audit.keep(self.db, records)


def with_controller(office: Office, do: Callable[[str], Awaitable[Value]]) -> Value:
    """`do(url)` while the controller's doors are open."""

    async def live() -> Value:
        port = free_port()
        server = tornado.httpserver.HTTPServer(application(office))
        server.listen(port, "127.0.0.1")
        try:
            return await do(f"http://127.0.0.1:{port}")
        finally:
            server.stop()
            await server.close_all_connections()

    return asyncio.run(live())


def stored(db: Connection) -> list[tuple[str, str]]:
    with db, db.cursor() as cursor:
        cursor.execute("SELECT verb, subject FROM report.audit WHERE host = %s ORDER BY at, detail->>'n'", (HOST,))
        return cursor.fetchall()


def test_everything_recorded_is_in_postgres_once_also_after_the_sender_was_killed_before_it_knew(
    state: Path, db: Connection
) -> None:
    office = Office(db)
    trail = AuditTrail(state)
    for number in range(3):
        trail.record("ann", "do", f"thing {number}", n=number)

    async def do(url: str) -> None:
        assert await AuditSender(trail, url).tell()
        (state / SENT).unlink()  # as if it had been killed between the answer and its note
        trail.record("ann", "do", "thing 3", n=3)
        assert await AuditSender(AuditTrail(state), url).tell()

    with_controller(office, do)
    assert stored(db) == [("do", f"thing {number}") for number in range(4)]
    assert trail.sent == trail.read()[-1].seq


def test_what_is_done_while_postgres_is_away_waits_for_it(state: Path, db: Connection) -> None:
    office = Office(db)
    trail = AuditTrail(state)

    async def do(url: str) -> None:
        gone = AuditSender(trail, f"http://127.0.0.1:{free_port()}")
        sender = AuditSender(trail, url)
        trail.record("ann", "do", "one", n=1)
        assert not await gone.tell()
        office.away = True
        assert not await sender.tell()
        trail.record("ann", "do", "two", n=2)
        assert not await sender.tell()
        assert trail.sent == 0
        office.away = False
        assert await sender.tell()
        asked = office.asked
        assert await sender.tell()
        assert office.asked == asked  # with nothing new nobody is bothered

    with_controller(office, do)
    assert stored(db) == [("do", "one"), ("do", "two")]


def test_a_long_absence_is_made_up_for_in_batches_and_no_text_is_refused(state: Path, db: Connection) -> None:
    trail = AuditTrail(state)
    record = AuditTrail(state)
    record.record("ann", "do", "a\0b\udcff", n=-1, text=["\0"])
    first = trail.read()[0]
    lines = [json.dumps({**_fields(first), "seq": first.seq + n, "detail": {"n": n}}) for n in range(1, 2 * BATCH)]
    with (state / FILE).open("a") as file:
        file.write("".join(line + "\n" for line in lines))
    office = Office(db)
    with_controller(office, lambda url: AuditSender(trail, url).tell())
    assert office.asked == 2
    assert len(stored(db)) == 2 * BATCH


def _fields(record: AuditRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in AuditRecord.__struct_fields__}


def test_the_views_have_a_row_for_each_canary(state: Path, db: Connection) -> None:
    trail = AuditTrail(state)
    trail.record("ann", "canary start", "c1", build="b2", stable="b1", exchange="openx", country=None, shadow=False)
    trail.record("supervisor", "canary slice", "c1", buckets=100)
    trail.record("supervisor", "canary slice", "c1", buckets=500)
    trail.record("supervisor", "canary slice", "c1", buckets=0)
    trail.record("supervisor", "canary end", "c1", outcome="rolled back", because="errors")
    trail.record("ann", "canary start", "c2", build="b3", stable="b1", shadow=True)
    audit.keep(db, trail.read())
    with db, db.cursor() as cursor:
        cursor.execute(
            "SELECT canary, actor, build, stable, exchange, shadow, outcome, because, widest_slice::float"
            " FROM report.canaries ORDER BY canary"
        )
        assert cursor.fetchall() == [
            ("c1", "ann", "b2", "b1", "openx", False, "rolled back", "errors", 0.05),
            ("c2", "ann", "b3", "b1", None, True, None, None, 0.0),
        ]
