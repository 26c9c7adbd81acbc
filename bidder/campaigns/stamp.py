"""Which book files have been checked, so that not every worker reads gigabytes to check them again.

    publisher: whole check -> stamp() -> book-<n>.ok beside book-<n>.bin
    worker:    is_stamped() -> Book.open(checked=True), which looks at the header only

A stamp names the boot of the machine, the file (device, inode, length, last change) and its first page. Files of a
book are never written in place, so within one boot a file with these marks is the one that was checked; whatever
replaced, cut, touched or copied it shows. What a disk does to it after a boot, a whole check finds again.
"""

import os
import zlib
from pathlib import Path

from bidder._fast.mapping import PAGE, boot_id


def stamp_of(path: Path) -> Path:
    return path.with_suffix(".ok")


def _marks(path: Path) -> str:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        first = zlib.crc32(file.read(PAGE))
    marks = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, first)
    return f"{boot_id().hex()} {' '.join(map(str, marks))}\n"


def stamp(path: Path) -> None:
    """This file has been checked, all of it."""
    draft = stamp_of(path).with_suffix(f".ok.{os.getpid()}.tmp")
    draft.write_text(_marks(path), encoding="ascii")
    draft.rename(stamp_of(path))


def is_stamped(path: Path) -> bool:
    """Is this the file that was checked?"""
    try:
        return stamp_of(path).read_bytes() == _marks(path).encode()
    except OSError:
        return False
