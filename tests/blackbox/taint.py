"""Markers that are planted into whatever reaches a host from outside, and every place where they must not come out.

WORD stands where a text may stand (and in keys), LARGE and SMALL where a number may, FRACTION where a point may.
`traces` finds them in other cases too, in UTF-16, hexadecimal and base64, and as binary numbers.
"""

import base64
import contextlib
import socket
import struct
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import zmq

from tests.hosts import Host

WORD = "zqTaintMarkerqz"
LARGE = 1_739_155_731_739  # beyond 32 bits
SMALL = 1_739_155_731
FRACTION = 73.9155731739
BUS, ANNOUNCEMENTS = 20, 10  # offsets to the port base

Json = dict[str, Any]


def spellings() -> dict[str, bytes]:
    """Every form of a marker that is looked for. Binary ones are eight bytes: none is there by chance."""
    raw = WORD.encode()
    found = {"text": raw, "lower case": raw.lower(), "upper case": raw.upper(), "UTF-16": WORD.encode("utf-16-le")}
    found["hexadecimal"] = raw.hex().encode()
    for n in range(3):  # whatever stands before it; what depends on its neighbours is cut off
        whole = base64.b64encode(b"\0" * n + raw)
        found[f"base64, {n}"] = whole[-(-8 * n // 6) : len(whole) // 4 * 4 - 4]
    found |= {"large number": b"%d" % LARGE, "small number": b"%d" % SMALL, "fraction": b"%r" % FRACTION}
    for order in "<>":
        found[f"large number, {order}q"] = struct.pack(f"{order}q", LARGE)
        found[f"fraction, {order}d"] = struct.pack(f"{order}d", FRACTION)
    return found


SPELLINGS = spellings()


def traces(data: bytes) -> list[str]:
    """In which forms a marker is in there."""
    return [name for name, form in SPELLINGS.items() if form in data]


class Overheard:
    """All that goes over the host's bus and its announcements, frame by frame, from now on."""

    def __init__(self, host: Host) -> None:
        self.frames: list[bytes] = []
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.subscribe(b"")
        for offset in (BUS, ANNOUNCEMENTS):
            self._socket.connect(f"tcp://127.0.0.1:{host.base + offset}")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            if self._socket.poll(50):
                self.frames += self._socket.recv_multipart()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()
        self._context.term()


def tables(host: Host) -> Iterator[tuple[str, bytes]]:
    """Every row of every table, as text, and what sessions are asking. Temporary ones lie in `files`."""
    with contextlib.closing(psycopg2.connect(host.ready["postgres"])) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname NOT LIKE 'pg_temp%'"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {name} AS t")
            yield name, cursor.fetchone()[0].encode()  # type: ignore[index]
        cursor.execute(
            "SELECT coalesce(string_agg(query, ';'), '') FROM pg_stat_activity WHERE pid != pg_backend_pid()"
        )
        yield "pg_stat_activity", cursor.fetchone()[0].encode()  # type: ignore[index]


def files(host: Host) -> Iterator[tuple[str, bytes]]:
    """Every file of the state directory and of its services: shared memory, spool, outbox, books, logs, tables, WAL."""
    for home in host.homes():
        for path in sorted(Path(home).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()


def memcached(host: Host) -> Iterator[tuple[str, bytes]]:
    """Every entry: the names from its crawler, then the values."""

    def ask(question: bytes, end: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", host.base + 211), timeout=10) as connection:
            connection.sendall(question)
            said = b""
            while not said.endswith(end):
                more = connection.recv(1 << 20)
                if not more:
                    break
                said += more
        return said

    names = ask(b"lru_crawler metadump all\r\n", b"END\r\n")
    yield "the names of entries", names
    for line in names.splitlines():
        if line.startswith(b"key="):
            name = urllib.parse.unquote_to_bytes(line.split()[0].removeprefix(b"key="))
            yield name.decode(), ask(b"get %b\r\n" % name, b"END\r\n")


def processes(host: Host) -> Iterator[tuple[str, bytes]]:
    """Command lines and environments."""
    for pid in host.family():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                yield f"{name} of {pid}", Path(f"/proc/{pid}/{name}").read_bytes()
