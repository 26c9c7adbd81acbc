"""Migrations: the numbered SQL that makes a database ours, applied once and in order.

migrate(dsn) -> names of the files it applied. Called by whoever may create tables
(`outbid up`, the controller) before anything else; the aggregator only waits (`missing`).
One transaction under an advisory lock: all pending files or none, also with many callers.
Forward only: a file that was applied never changes; a database may be ahead of this code.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from aggregator import names
from bidder.ops.log import first_line

DIRECTORY = Path(__file__).parent / "migrations"
LOCK = 0x0B1D_5C4E  # any number, the same for all callers
FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_OWN_TABLE = """
CREATE SCHEMA IF NOT EXISTS ops;
CREATE TABLE IF NOT EXISTS ops.migration (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


class MigrationError(Exception):
    """The database and the files do not fit; the message says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """What tells whether an applied file was changed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(directory: Path = DIRECTORY) -> list[Migration]:
    """All files in order; MigrationError for a name out of the pattern or a number used twice."""
    found = []
    for path in sorted(directory.glob("*.sql")):
        if FILE.fullmatch(path.name) is None:
            raise MigrationError(f"{path}: a migration is named 0001_words.sql")
        found.append(Migration(path.name, path.read_text(encoding="utf-8")))
    numbers = [migration.name[:4] for migration in found]
    for number in numbers:
        if numbers.count(number) > 1:
            raise MigrationError(f"{directory}: number {number} is used by more than one migration")
    if not found:
        raise MigrationError(f"{directory}: no migrations; is the package installed whole?")
    return found


def pending(files: list[Migration], applied: dict[str, str]) -> list[Migration]:
    """What is still to do, from the files and from {name: sha256} of the database."""
    newest = max(applied, default="")
    for migration in files:
        if migration.name in applied and applied[migration.name] != migration.sha256:
            raise MigrationError(
                f"{migration.name} was changed after this database applied it; restore the file and put the change "
                f"into a new one"
            )
        if migration.name not in applied and migration.name < newest:
            raise MigrationError(
                f"{migration.name} comes before {newest}, which this database has already; give it a later number"
            )
    ours = {migration.name for migration in files}
    for name in applied:
        if name not in ours and name < files[-1].name:
            raise MigrationError(f"this database applied {name}, which this build does not have; use a newer build")
    return [migration for migration in files if migration.name not in applied]


def _applied(cursor: Any) -> dict[str, str]:
    cursor.execute("SELECT to_regclass('ops.migration') IS NOT NULL")
    if not cursor.fetchone()[0]:
        return {}
    cursor.execute("SELECT name, sha256 FROM ops.migration")
    return dict(cursor.fetchall())


def missing(db: Connection) -> list[str]:
    """Names of the files that this database still lacks; a reader waits until there are none."""
    with db, db.cursor() as cursor:
        return [migration.name for migration in pending(read(), _applied(cursor))]


def migrate(dsn: str, directory: Path = DIRECTORY) -> list[str]:
    """Bring the database up to these files; MigrationError (one line) where that cannot be."""
    files = read(directory)
    try:
        db = psycopg2.connect(dsn, connect_timeout=10, application_name="outbid migrate")
    except psycopg2.OperationalError as error:
        raise MigrationError(f"cannot reach Postgres: {first_line(error)}") from None
    try:
        with db, db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            if db.server_version < 150000:
                raise MigrationError(f"Postgres 15 or later is wanted, this is {db.server_version // 10000}")
            cursor.execute(_OWN_TABLE)
            todo = pending(files, _applied(cursor))
            for migration in todo:
                _apply(cursor, migration)
            names.write(cursor)
            return [migration.name for migration in todo]
    finally:
        db.close()


def _apply(cursor: Any, migration: Migration) -> None:
    try:
        cursor.execute(migration.sql)
    except psycopg2.Error as error:
        raise MigrationError(f"{migration.name}: {first_line(error)}") from error
    cursor.execute("INSERT INTO ops.migration (name, sha256) VALUES (%s, %s)", (migration.name, migration.sha256))
