"""`outbid stream` tells where the stream stands, finds damage, and makes spools for empty databases to book."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
import pytest

from aggregator.ledger import Batch, Ledger
from aggregator.migrate import migrate
from aggregator.money import MoneyIntake
from aggregator.postgres import Link
from aggregator.sources import SpoolSource
from aggregator.spool_keeper import SpoolKeeper
from bidder.cli import context, stream
from bidder.cli.context import CliError
from bidder.events.segments import segments
from bidder.events.spool import Spool, SpoolReader
from bidder.events.stream import Mark
from bidder.events.targets import target_of
from bidder.ops import log
from bidder.settings import Settings
from tests.conftest import Databases
from tests.unit.test_aggregator_money import bill


class Outbid:
    """The verb on a host whose spool of small segments holds 30 bills."""

    def __init__(self, state: Path, dsn: str, capsys: pytest.CaptureFixture[str], **where: Any) -> None:
        self.state, self.dsn, self.capsys = state, dsn, capsys
        settings = Settings()
        self.settings = replace(
            settings, postgres=replace(settings.postgres, dsn=dsn), stream=replace(settings.stream, **where)
        )
        context.save(state, self.settings, "")

    def write(self) -> int:
        spool = Spool(self.state / "spool", segment_bytes=200)
        last = max(spool.append(msgspec.msgpack.encode(bill(n))).result(10) for n in range(30))
        spool.close()
        return last

    def book(self, spool: Path, dsn: str) -> None:
        link = Link(dsn, "test")
        intake = MoneyIntake(lambda: SpoolSource(SpoolReader(spool)), Ledger(link, {1: 2}), link, log.get("test"))
        while intake.step():
            pass
        SpoolKeeper(spool, target_of(self.settings.stream), 0.0, lambda: intake.position, log.get("test")).step()
        link.broken()

    def code(self, *argv: str) -> int:
        parser = argparse.ArgumentParser()
        stream.configure(parser)
        return stream.run(parser.parse_args(argv, argparse.Namespace(state=self.state)))

    def said(self, *argv: str, code: int) -> dict[str, Any]:
        assert self.code(*argv, "--json") == code
        found: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return context.make_state(tmp_path / "state")


@pytest.fixture
def outbid(state: Path, tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]) -> Outbid:
    migrate(database)
    return Outbid(state, database, capsys, archive=str(tmp_path / "archive"))


def spend(dsn: str) -> tuple[int, int]:
    with psycopg2.connect(dsn) as db, db.cursor() as cursor:
        cursor.execute("SELECT sum(bills)::int, sum(spend_nano)::int FROM rollup.notice_minute")
        found = cursor.fetchone()
        assert found is not None
    db.close()
    return found


def test_status_says_how_much_is_kept_booked_and_archived_and_what_is_wrong(outbid: Outbid) -> None:
    last = outbid.write()
    said = outbid.said("status", code=1)
    assert (said["durable"], said["booked"], said["lag_bytes"]) == (last, None, None)
    assert said["segments"] == len(segments(outbid.state / "spool")) > 3
    assert said["problems"] == {"tracker": "it does not run", "aggregator": "it does not run"}
    outbid.book(outbid.state / "spool", outbid.dsn)
    said = outbid.said("status", code=1)
    assert (said["booked"], said["lag_bytes"], said["segments"]) == (last, 0, 1)
    assert said["archive"]["through"] == segments(outbid.state / "spool")[0].start
    assert outbid.code("status") == 1
    assert f"durable        {last}\n" in outbid.capsys.readouterr().out


def test_status_of_kinesis_tells_every_shard(state: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(database)
    outbid = Outbid(state, database, capsys, backend="kinesis", kinesis_stream="s")
    link = Link(database, "test")
    ledger = Ledger(link, {})
    place = ledger.place("kinesis/s")
    marks = {"shardId-0": Mark(10**55, ended=True), "shardId-1": Mark(7)}
    ledger.commit(Batch("kinesis/s", place.position, 2, [], 0.0, marks))
    link.broken()
    said = outbid.said("status", code=1)
    assert said["shards"] == {"shardId-0": f"{10**55} (ended)", "shardId-1": "7"}
    assert said["lag_s"] >= 0
    with pytest.raises(CliError, match="only a spool is kept here"):
        outbid.code("verify")


def test_verify_counts_what_is_sound_and_names_what_is_not(outbid: Outbid) -> None:
    outbid.write()
    said = outbid.said("verify", code=0)
    assert (said["notices"], said["archived"], said["damages"]) == (30, 0, [])
    rotten = segments(outbid.state / "spool")[1].path
    data = bytearray(rotten.read_bytes())
    data[20] ^= 1
    rotten.write_bytes(data)
    said = outbid.said("verify", code=1)
    assert [str(rotten) in damage for damage in said["damages"]] == [True]
    assert outbid.code("verify") == 1
    assert str(rotten) in outbid.capsys.readouterr().out


def test_an_empty_database_is_booked_from_the_archive_and_what_the_spool_still_has(
    outbid: Outbid, databases: Databases, tmp_path: Path
) -> None:
    last = outbid.write()
    outbid.book(outbid.state / "spool", outbid.dsn)
    assert outbid.said("verify", code=0)["archived"] > 2
    assert outbid.code("replay", "--to", str(tmp_path / "again")) == 0
    assert f"from 0 to {last}" in outbid.capsys.readouterr().out
    empty = databases.create()
    migrate(empty)
    outbid.book(tmp_path / "again", empty)
    assert spend(empty) == spend(outbid.dsn) == (30, 150)
    databases.drop(empty)
    with pytest.raises(CliError, match="it exists already"):
        outbid.code("replay", "--to", str(tmp_path / "again"))
    (outbid.state / "spool").rename(tmp_path / "lost")  # the host with its disk
    name = SpoolReader(tmp_path / "lost").id
    assert outbid.code("replay", "--stream", name, "--to", str(tmp_path / "third")) == 0
    assert SpoolReader(tmp_path / "third").durable == segments(tmp_path / "lost")[0].start
