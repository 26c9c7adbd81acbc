"""Archive: whole segments of the spool, compressed, each with a manifest that says what is in it.

keep(segment) -> `<stream>/<start>-<end>.seg.gz`, then `<start>-<end>.json` -> rebuild() -> the same bytes in a spool
A segment is archived when its manifest is there, not before. Start and end are positions, 16 hex digits each.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from bidder.events.schema import Notice
from bidder.events.segments import DURABLE, Segment, read_durable, read_id, records, segments
from bidder.events.stream import StreamError
from bidder.events.targets import Target, TargetError
from bidder.ops.durable import sync_directory

LEVEL = 6  # of gzip


class Manifest(msgspec.Struct, frozen=True):
    """One archived segment."""

    stream: str
    start: int  # positions in the stream
    end: int
    notices: int
    first_ms: int  # earliest and latest receipt
    last_ms: int
    sha256: str  # of the segment's end - start bytes
    gz_bytes: int
    gz_sha256: str

    @property
    def name(self) -> str:
        """Of its files, without what tells them apart."""
        return _name(self.stream, self.start, self.end)


class Damage(StreamError):
    """What was kept is not as it was written; the message names the place."""


def _name(stream: str, start: int, end: int) -> str:
    return f"{stream}/{start:016x}-{end:016x}"


def read_segment(segment: Segment) -> bytes:
    """Its bytes, without what was refused behind them; Damage where a record is not as it was written."""
    with segment.path.open("rb") as file:
        data = file.read(segment.end - segment.start)
    sound = max((end for end, _ in records(data)), default=0)
    if sound != segment.end - segment.start:
        raise Damage(f"{segment.path}: no sound record at byte {sound} (position {segment.start + sound})")
    return data


def keep(target: Target, stream: str, segment: Segment) -> Manifest:
    """Archive one whole segment; Damage where it is rotten, TargetError where it cannot be written."""
    data = read_segment(segment)
    packed = gzip.compress(data, LEVEL, mtime=0)
    decode = msgspec.msgpack.Decoder(Notice).decode
    received = [decode(payload).received_ms for _, payload in records(data)]
    manifest = Manifest(
        stream,
        segment.start,
        segment.end,
        len(received),
        min(received),
        max(received),
        hashlib.sha256(data).hexdigest(),
        len(packed),
        hashlib.sha256(packed).hexdigest(),
    )
    target.put(f"{manifest.name}.seg.gz", packed)
    target.put(f"{manifest.name}.json", msgspec.json.encode(manifest) + b"\n")
    return manifest


def kept(target: Target, stream: str) -> list[tuple[int, int]]:
    """(start, end) of what is archived, in order, by the names alone."""
    found = []
    for name in target.names(stream):
        if name.endswith(".json"):
            start, _, end = name.rpartition("/")[2].removesuffix(".json").partition("-")
            found.append((int(start, 16), int(end, 16)))
    return sorted(found)


def read(target: Target, stream: str, start: int, end: int) -> tuple[Manifest, bytes]:
    """One archived segment, checked against its manifest; Damage where they do not agree."""
    name = _name(stream, start, end)
    try:
        manifest = msgspec.json.decode(target.get(f"{name}.json"), type=Manifest)
    except msgspec.MsgspecError as error:
        raise Damage(f"archive {target.where}/{name}.json: {error}") from None
    packed = target.get(f"{name}.seg.gz")
    if hashlib.sha256(packed).hexdigest() != manifest.gz_sha256:
        raise Damage(f"archive {target.where}/{name}.seg.gz: not as it was written")
    try:
        data = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Damage(f"archive {target.where}/{name}.seg.gz: {error}") from None
    count = sum(1 for _ in records(data))
    agreed = (manifest.stream, manifest.start, manifest.end, manifest.notices) == (stream, start, end, count)
    if not agreed or len(data) != end - start or hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise Damage(f"archive {target.where}/{name}: not what its manifest says")
    return manifest, data


def verify(target: Target, stream: str) -> Iterator[Manifest | Damage]:
    """Every archived segment or what is wrong with it, holes between them too; TargetError where it cannot be read."""
    expected: int | None = None
    for start, end in kept(target, stream):
        if expected is not None and start != expected:
            yield Damage(f"archive {target.where}/{stream}: positions {expected} to {start} are missing")
        expected = end
        try:
            yield read(target, stream, start, end)[0]
        except Damage as damage:
            yield damage
        except TargetError as error:  # listed, but not to be had
            yield Damage(str(error))


def pieces(target: Target | None, stream: str, spool: Path) -> Iterator[tuple[int, bytes]]:
    """(start, bytes) of all that is kept of the stream: the archive, and what the spool has behind it."""
    after = 0
    for start, end in [] if target is None else kept(target, stream):
        assert target is not None
        yield start, read(target, stream, start, end)[1]
        after = end
    for segment in in_spool(spool, stream):
        if after <= segment.start < segment.end:
            yield segment.start, read_segment(segment)


def in_spool(spool: Path, stream: str) -> Iterator[Segment]:
    """Its segments, as far as they are durable; none where the spool is of another stream, or not there."""
    if (spool / "id").exists() and read_id(spool) == stream:
        durable = read_durable(spool)
        for segment in segments(spool):
            yield segment._replace(end=min(segment.end, durable))


def rebuild(found: Iterable[tuple[int, bytes]], stream: str, directory: Path) -> tuple[int, int]:
    """A new spool at `directory` of these pieces; where it begins and ends. Damage where one is missing."""
    directory.mkdir(mode=0o700, parents=True)
    begin = end = None
    for start, data in found:
        if end is not None and start != end:
            raise Damage(f"{stream}: positions {end} to {start} are missing")
        _write(directory / f"{start:016x}.seg", data)
        begin = start if begin is None else begin
        end = start + len(data)
    if begin is None or end is None:
        raise Damage(f"nothing is kept of the stream {stream}")
    _write(directory / "durable", DURABLE.pack(end))
    _write(directory / "id", f"{stream}\n".encode())
    sync_directory(directory)
    return begin, end


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
