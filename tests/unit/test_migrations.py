"""Migrations: once, in order, forward only; and what analysts may see."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from aggregator.migrate import DIRECTORY, MigrationError, migrate, missing, pending, read
from aggregator.names import declared
from bidder.embedded.postgres import Postgres
from reporting.reading import OPTIONS, Reader
from tests.conftest import Databases

ALL = [migration.name for migration in read()]


@pytest.fixture(scope="module")
def migrated(databases: Databases) -> Iterator[str]:
    dsn = databases.create()
    migrate(dsn)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the directory that a test may change."""
    return Path(shutil.copytree(DIRECTORY, tmp_path / "migrations"))


def query(dsn: str, sql: str, **options: Any) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn, **options)) as db, db, db.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_an_empty_database_gets_every_file_once(database: str) -> None:
    assert migrate(database) == ALL
    assert migrate(database) == []


def test_of_many_callers_at_once_one_migrates_and_the_others_wait(database: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(migrate, [database] * 4))
    assert sorted(results) == [[], [], [], ALL]


def test_a_file_that_fails_leaves_the_database_as_it_was_and_is_named(database: str, files: Path) -> None:
    (files / "0099_broken.sql").write_text("CREATE TABLE config.extra (n integer); SELECT nonsense;")
    with pytest.raises(MigrationError, match=r"0099_broken\.sql: column \"nonsense\" does not exist"):
        migrate(database, files)
    assert query(database, "SELECT to_regclass('ops.migration')") == [(None,)]


def test_an_applied_file_that_changed_is_refused_by_name(database: str, files: Path) -> None:
    migrate(database, files)
    changed = files / ALL[2]
    changed.write_text(changed.read_text() + "\n-- a thought\n")
    with pytest.raises(MigrationError, match=f"{ALL[2]} was changed after this database applied it"):
        migrate(database, files)


def test_a_file_numbered_below_an_applied_one_is_refused() -> None:
    files = read()
    applied = {migration.name: migration.sha256 for migration in files if migration is not files[1]}
    with pytest.raises(MigrationError, match=f"{files[1].name} comes before {files[-1].name}"):
        pending(files, applied)


def test_a_database_may_be_ahead_of_this_build() -> None:
    files = read()
    applied = {migration.name: migration.sha256 for migration in files} | {"9000_future.sql": "?"}
    assert pending(files, applied) == []


def test_a_number_used_twice_is_refused(files: Path) -> None:
    (files / "0001_again.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match="number 0001 is used by more than one"):
        read(files)


def test_a_name_out_of_the_pattern_is_refused(files: Path) -> None:
    (files / "extra.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=r"extra\.sql: a migration is named"):
        read(files)


def test_missing_names_what_a_reader_waits_for(database: str) -> None:
    with closing(psycopg2.connect(database)) as db:
        assert missing(db) == ALL
        migrate(database)
        assert missing(db) == []


def test_postgres_that_is_away_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="cannot reach Postgres: ") as failure:
        migrate("postgresql://nobody@127.0.0.1:1/none")
    assert "\n" not in str(failure.value)


def test_every_name_that_code_declares_is_in_the_database(migrated: str) -> None:
    assert sorted(query(migrated, "SELECT dimension, key, name FROM rollup.name")) == sorted(declared())


def test_every_view_and_column_that_analysts_see_has_a_comment(migrated: str) -> None:
    bare = query(
        migrated,
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'report'::regnamespace AND a.attnum >= 0"
        " AND col_description(c.oid, a.attnum) IS NULL"
        " UNION ALL SELECT relname, NULL FROM pg_class WHERE relnamespace = 'report'::regnamespace"
        " AND obj_description(oid) IS NULL",
    )
    assert bare == []


def test_an_analyst_reads_every_view(migrated: str) -> None:
    views = query(migrated, "SELECT viewname FROM pg_views WHERE schemaname = 'report'")
    assert len(views) >= 9
    for (view,) in views:
        query(migrated, f"SELECT * FROM report.{view}", options="-c role=analyst")


def test_the_login_of_analysts_reads_reports_and_cannot_write(migrated: str, postgres: Postgres) -> None:
    dsn = postgres.analyst_dsn.rpartition("/")[0] + "/" + migrated.rpartition("/")[2]
    with Reader(dsn) as reader:
        assert reader.listing("status")[1] == []
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        query(dsn, "DROP VIEW report.ledger", options=OPTIONS)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(dsn, "SELECT * FROM ledger.bid")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM ledger.bid",
        "SELECT * FROM rollup.traffic_minute",
        "SELECT * FROM config.campaign",
        "INSERT INTO ops.gap VALUES ('p', 1, 1, 1, 0, 0)",
        "CREATE TABLE report.mine (n integer)",
    ],
)
def test_an_analyst_reaches_nothing_else(migrated: str, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(migrated, statement, options="-c role=analyst")


def test_a_lease_moves_its_money_and_what_was_not_spent_goes_back(database: str) -> None:
    migrate(database)
    with closing(psycopg2.connect(database)) as db, db, db.cursor() as cursor:
        cursor.execute("INSERT INTO config.advertiser (id) VALUES ('a')")
        cursor.execute(
            "INSERT INTO config.campaign (id, advertiser, status, body, revision) VALUES ('c', 1, 'active', '{}', 1)"
        )
        cursor.execute(
            "INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
            " VALUES (1, 'h', now(), current_date, 1000, now(), now(), 1)"
        )
        cursor.execute("UPDATE ledger.lease SET amount_nano = 600")
        cursor.execute("INSERT INTO ledger.lease_minute VALUES (1, 5, 250, 0)")
        cursor.execute("UPDATE ledger.lease SET closed_at = now()")
    moved = "SELECT reason, sum(amount_nano)::int FROM ledger.transfer GROUP BY reason ORDER BY reason"
    assert query(database, moved) == [("grant", 1000), ("return", 400 + 350)]
    assert query(database, "SELECT name, balance_nano::int FROM ledger.balance ORDER BY name") == [
        ("campaign:1", -250),
        ("lease:1", 250),
    ]
