"""Postgres of one host: started with `outbid up`, gone when it is gone, data kept between.

launch() -> wait_ready() -> dsn ... stop(). Listens on 127.0.0.1 alone, with passwords that lie in
`<state>/keys/postgres.json` (0600). Commits are on disk when they return. Times: seconds.
A crash of Postgres, of its parent or of the system needs nothing but the next start.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from bidder.embedded import child, home, ports, processes, programs
from bidder.embedded.child import EmbeddedError
from bidder.embedded.passwords import passwords_path, read_or_make

HOST = "127.0.0.1"
DATABASE = "outbid"
SUPERUSER, OWNER, ANALYST = "postgres", "outbid", "analyst_login"
ANALYST_GROUP = "analyst"
GRACE_S = 5.0  # for a predecessor to notice that its parent has gone
SHUTDOWN_S = 60.0  # for it to write what it holds

INITDB_OPTIONS = ("--auth=scram-sha-256", "--locale=C", "--encoding=UTF8", "--no-instructions")
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # none: their paths end at 107 bytes, state directories do not
    "max_connections": "120",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",  # costs more than it gives on short queries
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "password_encryption": "scram-sha-256",
}


class Postgres:
    """One server of our own, as a child of this process.

    `state` is the state directory, `port` where it listens; a server already there gets `grace_s` to notice that
    its parent has gone. Raises EmbeddedError, one line, for
    everything that a person can mend.
    """

    def __init__(
        self, state: Path, port: int, environ: Mapping[str, str] | None = None, *, grace_s: float = GRACE_S
    ) -> None:
        self.state = state.resolve()
        self.port = port
        self.log = self.state / "log" / "postgres.log"
        self._environ = os.environ if environ is None else environ
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """As the owner of database `outbid`, who may create roles."""
        return self._dsn(OWNER)

    @property
    def analyst_dsn(self) -> str:
        """As a member of group `analyst`."""
        return self._dsn(ANALYST)

    @property
    def superuser_dsn(self) -> str:
        """As `postgres`, for tests and repairs."""
        return self._dsn(SUPERUSER)

    @property
    def pid(self) -> int | None:
        """Of the server, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout_s: float = 120.0) -> None:
        """launch() and wait_ready(). Main thread only (see child.spawn)."""
        self.launch()
        self.wait_ready(timeout_s)

    def launch(self) -> None:
        """Start the server, on first use make its data directory; does not wait until it answers."""
        if self.pid is not None:
            return
        account = child.unprivileged()
        place = home.service_home(self.state, "postgres", account)
        bin_directory = programs.postgres_bin(self._environ, account)
        data = place / "data"
        if data.exists():
            self._wait_for_predecessor(data)
            if not passwords_path(self.state).exists():
                raise EmbeddedError(
                    f"{passwords_path(self.state)} is missing, and with it the passwords of {data}; "
                    f"restore it, or remove {self.state / 'postgres'} to begin anew"
                )
        if not ports.becomes_free(self.port, within_s=2.0):
            raise EmbeddedError(
                f"Postgres: port {self.port} on {HOST} is taken by another program; "
                "stop that, or choose another with --port-base or the setting postgres.port"
            )
        if not data.exists():
            self._initdb(bin_directory, place, data, account)
        server = programs.Program(bin_directory / "postgres")
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._process = child.spawn(
            [str(server.path), "-D", str(data), "-p", str(self.port), *options],
            cwd=place,
            log=self.log,
            environ=server.environ(),
            account=account,
            on_orphaned=signal.SIGINT,  # fast shutdown: ends sessions, then writes what it holds
        )

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Return when it answers and database `outbid` is there. After a crash it first replays its log."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._process is None:
                raise RuntimeError("wait_ready() before launch()")
            if self._process.poll() is not None:
                raise EmbeddedError(f"Postgres ended as it started: {child.last_complaint(self.log)} ({self.log})")
            try:
                connection = psycopg2.connect(self.superuser_dsn, dbname="postgres", connect_timeout=5)
                break
            except psycopg2.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise EmbeddedError(
                        f"Postgres refuses the password in {passwords_path(self.state)}: it is not that of its data"
                    ) from None
                if time.monotonic() >= deadline:
                    raise EmbeddedError(
                        f"Postgres does not answer on {HOST}:{self.port} after {timeout_s:g} s: "
                        f"{child.last_complaint(self.log)} ({self.log})"
                    ) from None
                time.sleep(0.03)
        try:
            connection.autocommit = True
            self._make_database(connection)
        finally:
            connection.close()

    def poll(self) -> int | None:
        """None while it runs, else its exit code (also before launch: 0). Keeps its log bounded."""
        if self._process is None:
            return 0
        child.trim_log(self.log)
        return self._process.poll()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Fast shutdown: sessions end, everything is written. Too slow: immediate, and the next start recovers."""
        if self._process is not None:
            child.end(self._process, [(signal.SIGINT, timeout_s), (signal.SIGQUIT, 5.0)])
            self._process = None

    def erase(self) -> None:
        """Remove all data and passwords of a stopped server."""
        if self.pid is not None:
            raise RuntimeError("erase() while Postgres runs")
        home.remove_home(self.state, "postgres")
        passwords_path(self.state).unlink(missing_ok=True)

    def program(self, name: str) -> Path:
        """Path of one of its programs, such as `psql`, for this user."""
        return programs.postgres_bin(self._environ, None) / name

    @cached_property
    def _passwords(self) -> dict[str, str]:
        return read_or_make(self.state, (SUPERUSER, OWNER, ANALYST))

    def _dsn(self, role: str) -> str:
        database = "postgres" if role == SUPERUSER else DATABASE
        return f"postgresql://{role}:{self._passwords[role]}@{HOST}:{self.port}/{database}"

    def _wait_for_predecessor(self, data: Path) -> None:
        """Let a server whose parent was killed finish; then its lock file means nothing any more."""
        lock = data / "postmaster.pid"

        def lives_on(waited_s: float) -> bool:
            return waited_s >= self._grace_s and _status(lock) == "ready"

        left = processes.wait_until_left(data, "postgres", SHUTDOWN_S, give_up=lives_on)
        if left:
            raise EmbeddedError(
                f"Postgres already runs on {data}: {', '.join(f'pid {pid}' for pid in left[:3])}; "
                f"stop it (kill -INT {left[0]}) or use another --state"
            )
        # Postgres would believe a stale file if its pid has since gone to another process of the same user.
        lock.unlink(missing_ok=True)

    def _initdb(self, bin_directory: Path, place: Path, data: Path, account: child.Account | None) -> None:
        """Make the data directory: whole, or not at all."""
        fresh = place / "data.new"
        processes.wait_until_left(fresh, "postgres", within_s=5.0)  # of a first start that was killed
        shutil.rmtree(fresh, ignore_errors=True)
        initdb = programs.Program(bin_directory / "initdb")
        password_file = place / "password"
        password_file.unlink(missing_ok=True)
        fd = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "w") as file:
                file.write(self._passwords[SUPERUSER] + "\n")
                if account is not None:
                    os.fchown(file.fileno(), account.uid, account.gid)
            answer = child.run(
                [str(initdb.path), "-D", str(fresh), "-U", SUPERUSER, f"--pwfile={password_file}", *INITDB_OPTIONS],
                cwd=place,
                environ=initdb.environ(),
                account=account,
            )
        finally:
            password_file.unlink(missing_ok=True)
        if answer.returncode != 0:
            said = [
                line for line in answer.stdout.splitlines() if "error" in line.lower()
            ] or answer.stdout.splitlines()
            raise EmbeddedError(f"Postgres: initdb failed in {place}: {said[-1] if said else 'it said nothing'}")
        fresh.rename(data)

    def _make_database(self, connection: psycopg2.extensions.connection) -> None:
        """Roles and database, each where it is missing: an interrupted first start goes on from where it was."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_roles")
            roles = {row[0] for row in cursor.fetchall()}
            if OWNER not in roles:
                cursor.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD %s", (self._passwords[OWNER],))
            if ANALYST_GROUP not in roles:
                cursor.execute(
                    f"CREATE ROLE {ANALYST_GROUP} NOLOGIN; GRANT {ANALYST_GROUP} TO {OWNER} WITH ADMIN OPTION"
                )
            if ANALYST not in roles:
                statement = f"CREATE ROLE {ANALYST} LOGIN PASSWORD %s IN ROLE {ANALYST_GROUP}"
                cursor.execute(statement, (self._passwords[ANALYST],))
            cursor.execute(f"ALTER ROLE {ANALYST} SET default_transaction_read_only = on")
            cursor.execute(f"ALTER ROLE {ANALYST} SET statement_timeout = '60s'")
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                create = sql.SQL("CREATE DATABASE {} OWNER {}")
                cursor.execute(create.format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))


def _status(lock: Path) -> str:
    """What `postmaster.pid` says of its server: starting, ready, stopping; empty where it says nothing."""
    try:
        lines = lock.read_text().splitlines()
    except OSError:
        return ""
    return lines[7].strip() if len(lines) > 7 else ""
