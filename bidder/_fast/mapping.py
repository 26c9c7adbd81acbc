"""Files that several processes map: created whole, checked when they are opened.

The supervisor creates, every process attaches. A file that is not what its magic
(which names kind and layout) says is refused, never repaired. Contents outlive every
process, but not a crash of the operating system: whoever keeps counts or money in
such a file writes `boot_id()` into it and starts over when that has changed.
"""

import mmap
import os
import uuid
from pathlib import Path

PAGE = 4096


class MappingError(Exception):
    """A mapped file is missing, or is not what this build expects; the message says what to do."""


def boot_id() -> bytes:
    """16 bytes that are new with every boot of the machine."""
    return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()).bytes


def create(path: Path, first_page: bytes, size: int) -> None:
    """A sparse file of `size` bytes that begins with `first_page`; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    fd = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, first_page)
        os.ftruncate(fd, size)
    finally:
        os.close(fd)
    draft.rename(path)


def attach(path: Path, magic: bytes, size: int, *, private: bool = False) -> mmap.mmap:
    """The file at `path`, mapped writable; MappingError if it is missing, foreign or shorter than `size`.

    `private`: the file is opened to be read only, and what is written to the map stays with this process.
    """
    try:
        fd = os.open(path, (os.O_RDONLY if private else os.O_RDWR) | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MappingError(f"{path}: missing; the supervisor (`outbid bidder`) creates it") from None
    try:
        length = os.fstat(fd).st_size
        found = os.pread(fd, len(magic), 0)
        if found != magic:
            raise MappingError(
                f"{path}: begins with {found!r}, this build wants {magic!r}; stop outbid on this host and remove it"
            )
        if length < size:
            raise MappingError(f"{path}: {length} bytes, at least {size} wanted; stop outbid on this host, remove it")
        return mmap.mmap(fd, length, access=mmap.ACCESS_COPY if private else mmap.ACCESS_WRITE)
    finally:
        os.close(fd)


def grow(path: Path, size: int) -> None:
    """At least `size` bytes; what is mapped already keeps its length."""
    if path.stat().st_size < size:
        os.truncate(path, size)
