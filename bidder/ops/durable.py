"""Files that are there whole, also after a crash of the operating system. OSError where the disk does not take them."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def replace(
    path: Path, data: bytes, mode: int = 0o666, *, still: Callable[[], bool] = lambda: True
) -> os.stat_result | None:
    """`data` takes the place of the file: all of it, or what was before. `mode`: less the umask.

    `still()` is asked last, when the disk has all of it; False: the file stays as it is, and None is the answer.
    Else how the new file looks, so that its writer knows it from one that somebody else puts there.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
        written = os.fstat(descriptor)
    if not still():
        draft.unlink()
        return None
    draft.rename(path)
    sync_directory(path.parent)
    return written


def sync_directory(directory: Path) -> None:
    """Until then a new name may be gone after a crash, whatever was synced in its file."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """While somebody reads and writes what this file, which stays empty, stands for; others wait."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
