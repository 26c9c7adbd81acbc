"""Embedded services when things go wrong: killed parents, stale files, taken ports, closed directories."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from pymemcache.client.base import Client

from bidder.embedded import child, processes
from bidder.embedded.child import EmbeddedError
from bidder.embedded.memcached import Memcached
from bidder.embedded.postgres import Postgres
from tests.conditions import wait_until
from tests.free_ports import free_port
from tests.hosts import alive

pytestmark = pytest.mark.faults

PARENT = """
import signal, sys
from pathlib import Path
from bidder.embedded.memcached import Memcached
from bidder.embedded.postgres import Postgres
state = Path(sys.argv[1])
server = Postgres(state, int(sys.argv[3])) if sys.argv[2] == "postgres" else Memcached(state, int(sys.argv[3]), 16)
server.start()
print(server.pid, flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory whose parent only its owner can enter; tests share it, for making one takes a while."""
    closed = tmp_path_factory.mktemp("closed")
    assert closed.stat().st_mode & 0o077 == 0
    yield closed / "state"
    Postgres(closed / "state", 0).erase()


@contextlib.contextmanager
def running(server: Postgres) -> Iterator[Postgres]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def parent_of(kind: str, state: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that runs the service, and the pid of the service."""
    checkout = Path(__file__).resolve().parents[2]
    argv = [sys.executable, "-c", PARENT, str(state), kind, str(port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=checkout) as parent:
        try:
            assert parent.stdout is not None
            yield parent, int(parent.stdout.readline())
        finally:
            parent.kill()


def rows(dsn: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_postgres_keeps_data_from_stop_to_start(state: Path) -> None:
    server = Postgres(state, free_port())
    with running(server):
        rows(server.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    assert server.pid is None
    with running(server):
        assert rows(server.dsn, "SELECT n FROM kept") == [(7,)]
        assert rows(server.analyst_dsn, "SELECT pg_has_role('analyst', 'member')") == [(True,)]
        assert rows(server.dsn, "SHOW max_connections") == [("120",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to nobody")
def test_as_root_postgres_and_its_data_belong_to_nobody(state: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    with running(Postgres(state, free_port())) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == nobody
        data = (state / "postgres" / "data").resolve()
        assert data.stat().st_uid == nobody
        assert data.is_relative_to("/var/lib/outbid")


def test_a_wrong_password_gets_no_answer(state: Path) -> None:
    with (
        running(Postgres(state, free_port())) as server,
        pytest.raises(psycopg2.OperationalError, match="password authentication failed"),
    ):
        psycopg2.connect(server.dsn, password="wrong")


def test_postgres_dies_with_its_killed_parent_and_the_next_one_starts(state: Path) -> None:
    port = free_port()
    with parent_of("postgres", state, port) as (parent, pid):
        parent.kill()
        # No waiting for the old server: the new one must do that itself.
        with running(Postgres(state, port)) as server:
            assert rows(server.dsn, "SELECT 1") == [(1,)]
            assert not alive(pid)
    wait_until(lambda: not processes.working_in((state / "postgres" / "data").resolve(), "postgres"))


def test_postgres_recovers_after_its_own_kill(state: Path) -> None:
    server = Postgres(state, free_port())
    with running(server):
        rows(server.dsn, "CREATE TABLE committed AS SELECT 7 AS n")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: server.poll() is not None)
        with running(server):
            assert rows(server.dsn, "SELECT n FROM committed") == [(7,)]


def test_a_stale_lock_file_naming_a_living_stranger_does_not_stop_postgres(state: Path) -> None:
    with running(Postgres(state, free_port())) as server:
        lines = (state / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    lock = state / "postgres" / "data" / "postmaster.pid"
    account = child.unprivileged()
    uid = account.uid if account else os.geteuid()
    with subprocess.Popen(["sleep", "60"], user=uid) as stranger:
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        os.chown(lock, uid, -1)
        lock.chmod(0o600)
        with running(server):
            assert rows(server.dsn, "SELECT 1") == [(1,)]
        stranger.kill()


def test_an_interrupted_first_start_is_made_good(state: Path) -> None:
    server = Postgres(state, free_port())
    with running(server):
        rows(server.superuser_dsn, "DROP ROLE analyst_login")
    home = (state / "postgres").resolve()
    (home / "data.new").mkdir()
    with running(server):
        assert rows(server.analyst_dsn, "SELECT 1") == [(1,)]


def test_a_second_postgres_on_the_same_state_names_the_first(state: Path) -> None:
    with (
        running(Postgres(state, free_port())) as server,
        pytest.raises(EmbeddedError, match=rf"already runs on .*pid {server.pid}"),
    ):
        Postgres(state, free_port(), grace_s=0.1).start()


def test_a_taken_port_is_named(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"port {port} on 127.0.0.1 is taken") as refused:
            Postgres(state, port).start()
        with pytest.raises(EmbeddedError, match=f"port {port} on 127.0.0.1 is taken"):
            Memcached(state, port, 16).start()
    assert "\n" not in str(refused.value)


def test_lost_passwords_are_said_and_not_made_anew(state: Path) -> None:
    server = Postgres(state, free_port())
    with running(server):
        pass
    passwords = state / "keys" / "postgres.json"
    passwords.rename(passwords.with_suffix(".lost"))
    try:
        with pytest.raises(EmbeddedError, match=r"postgres\.json is missing"):
            Postgres(state, server.port).start()
    finally:
        passwords.with_suffix(".lost").rename(passwords)


def test_children_are_started_from_the_main_thread_only(state: Path) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            Memcached(state, free_port(), 16).start()
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


def test_memcached_answers_and_stops(state: Path) -> None:
    server = Memcached(state, free_port(), memory_mb=16)
    server.start()
    try:
        client = Client(server.address)
        assert client.set("k", b"v", noreply=False)
        assert client.get("k") == b"v"
        client.close()
        if os.geteuid() == 0:
            assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    finally:
        server.stop()
    assert server.pid is None
    server.start()
    server.stop()


def test_memcached_dies_with_its_killed_parent_and_the_next_one_starts(state: Path) -> None:
    port = free_port()
    with parent_of("memcached", state, port) as (parent, pid):
        parent.kill()
        server = Memcached(state, port, memory_mb=16)
        server.start()
        assert not alive(pid)
        server.stop()
