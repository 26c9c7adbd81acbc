"""Segments: how the spool lies on the disk, in `<state>/spool`.

Files `<16 hex digits>.seg`, named by the stream position of their first byte, without gaps between them.
A record: length u32 LE, CRC-32 u32 LE of the payload, payload. `durable`: 8 bytes LE, the position up to which
all is synced; readers stop there. `id`: 16 hex digits, the name of the stream.
Writing and reading are `bidder/events/spool.py`; here is what both agree on, and how a start
finds the end of what can be trusted.
"""

import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bidder.events.stream import StreamError
from bidder.ops.durable import sync_directory

HEADER = struct.Struct("<II")
DURABLE = struct.Struct("<Q")
MAX_RECORD = 65_536  # bytes of a payload; whatever claims to be longer is no record


class SpoolError(StreamError):
    """The spool cannot be opened, written or read; the message says where."""


class Segment(NamedTuple):
    """A file of the spool. `end`: the position where the next begins, or the file ends."""

    path: Path
    start: int
    end: int


class Recovered(NamedTuple):
    """What a start found. `end` is on the disk for certain; the next record goes there."""

    end: int
    torn_bytes: int  # cut from the end: begun by a process that crashed, never acknowledged
    corrupt: str | None  # place of a record that was acknowledged and cannot be read


def segments(directory: Path) -> list[Segment]:
    """In order; SpoolError names the place where bytes are missing."""
    found = []
    for path in directory.glob("?" * 16 + ".seg"):
        try:
            found.append((int(path.stem, 16), path.stat().st_size, path))
        except FileNotFoundError:
            continue  # trimmed this moment
    found.sort()
    listed = []
    for at, (start, size, path) in enumerate(found):
        end = start + size
        if at + 1 < len(found):
            following = found[at + 1][0]
            if end < following:
                raise SpoolError(f"{path}: {following - end} bytes are missing at its end; restore it from a copy")
            end = following  # what lies behind it was refused, and could not be cut off
        listed.append(Segment(path, start, end))
    return listed


def records(block: bytes) -> Iterator[tuple[int, bytes]]:
    """(end, payload) of every record from the beginning of `block` to the first that is not whole and sound."""
    at = 0
    while at + HEADER.size <= len(block):
        length, crc = HEADER.unpack_from(block, at)
        end = at + HEADER.size + length
        if not 0 < length <= MAX_RECORD or end > len(block):
            return
        payload = block[at + HEADER.size : end]
        if zlib.crc32(payload) != crc:
            return
        yield end, payload
        at = end


def record(payload: bytes) -> bytes:
    """`payload` as it stands in a segment. Never empty: a hole of zeros must not read as records."""
    if not 0 < len(payload) <= MAX_RECORD:
        raise ValueError(f"a record of {len(payload)} bytes; 1 to {MAX_RECORD} are allowed")
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def read_durable(directory: Path) -> int:
    """0 where nothing was ever written."""
    try:
        return int(DURABLE.unpack((directory / "durable").read_bytes())[0])
    except (FileNotFoundError, struct.error):
        return 0


def read_id(directory: Path) -> str:
    """The name of the stream."""
    try:
        return (directory / "id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SpoolError(f"{directory}: no spool there; the tracker makes it at its first start") from None


def ensure_id(directory: Path) -> str:
    """The name of the stream, drawn at the first start."""
    if not (directory / "id").exists():
        if segments(directory):
            raise SpoolError(f"{directory}/id: missing beside segments; restore it from a copy")
        new = directory / "id.new"
        with new.open("w", encoding="ascii") as file:
            file.write(secrets.token_hex(8) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.rename(directory / "id")
        sync_directory(directory)
        sync_directory(directory.parent)
    return read_id(directory)


def recover(directory: Path) -> Recovered:
    """Cut a torn tail from the last segment, and put the rest on the disk.

    `durable` may be older than the truth after a crash of the operating system, never newer. So a
    record behind it that is not sound is torn; one before it is rotten, and then nothing is cut.
    """
    found = segments(directory)
    acknowledged = read_durable(directory)
    end, torn_bytes, corrupt = 0, 0, None
    if found:
        last = found[-1]
        block = last.path.read_bytes()
        sound = max((end for end, _ in records(block)), default=0)
        if last.start + sound < acknowledged <= last.start + len(block):
            corrupt = f"{last.path}: no sound record at byte {sound} (position {last.start + sound})"
            sound = len(block)
        torn_bytes = len(block) - sound
        with last.path.open("rb+") as file:
            file.truncate(sound)
            os.fsync(file.fileno())
        end = last.start + sound
    if end < acknowledged:
        raise SpoolError(
            f"{directory}: {acknowledged - end} acknowledged bytes are missing behind position {end}; "
            "restore the segments from a copy, or move the directory away to begin a new stream"
        )
    return Recovered(end, torn_bytes, corrupt)


def write_all(descriptor: int, data: bytes, at: int) -> None:
    """All of `data` at offset `at`; OSError where the disk does not take it, then a part may stand there."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written
