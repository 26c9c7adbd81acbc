"""What tests share: real servers, started when a test first asks for them, and real traffic."""

import itertools
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from aggregator.migrate import migrate
from bidder.embedded.memcached import Memcached
from bidder.embedded.postgres import OWNER, Postgres
from tests import free_ports
from tests.aws_server import Aws, serving

CHECKOUT = Path(__file__).resolve().parents[1]


class Databases:
    """Fresh databases of one server: `create()` gives the DSN of an empty one, owned by `outbid`."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._numbers = itertools.count(1)
        self._names: list[str] = []

    def create(self) -> str:
        name = f"test_{next(self._numbers)}"
        self._as_superuser(f"CREATE DATABASE {name} OWNER {OWNER}")
        self._names.append(name)
        return self.server.dsn.rpartition("/")[0] + "/" + name

    def drop(self, dsn: str) -> None:
        """Also with sessions still open in it."""
        name = dsn.rpartition("/")[2]
        self._names.remove(name)
        self._as_superuser(f"DROP DATABASE {name} WITH (FORCE)")

    def _as_superuser(self, statement: str) -> None:
        connection = psycopg2.connect(self.server.superuser_dsn)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One embedded Postgres for the whole run."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), free_ports.free_port())
    server.start()
    yield server
    server.stop()
    server.erase()


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    """For fixtures of a wider scope than `database`."""
    return Databases(postgres)


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """DSN of an empty database of this test's own."""
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def db(database: str) -> Iterator[Connection]:
    """A connection to such a database, with all tables."""
    migrate(database)
    with closing(psycopg2.connect(database)) as connection:
        yield connection


@pytest.fixture(scope="session")
def memcached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of one embedded memcached for the whole run."""
    server = Memcached(tmp_path_factory.mktemp("memcached"), free_ports.free_port(), memory_mb=64)
    server.start()
    yield server.address
    server.stop()


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Aws]:
    """One server of AWS's interfaces for the whole run."""
    with serving() as made:
        yield made


@pytest.fixture
def aws(aws_server: Aws) -> Aws:
    """The same without faults of before; streams and buckets of a test need names of their own."""
    aws_server.heal()
    return aws_server


def corpus_path() -> Path:
    """Where real requests are, if they are at hand."""
    chosen = os.environ.get("OUTBID_CORPUS")
    return Path(chosen) if chosen else CHECKOUT.parent / "shared" / "corpus" / "openrtb" / "visible.jsonl"


@pytest.fixture(scope="session")
def corpus() -> list[bytes]:
    """Real bid requests, one a line; skips where they are not at hand ($OUTBID_CORPUS names them)."""
    path = corpus_path()
    if not path.exists():
        pytest.skip(f"no corpus at {path}; OUTBID_CORPUS names another place")
    return path.read_bytes().splitlines()
