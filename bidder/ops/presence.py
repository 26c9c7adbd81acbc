"""Presence: which processes of this host live, and what they say of themselves.

`<state>/run/<role>.<pid>.json`, locked (`flock`) for as long as its process lives: the kernel lets
go of the lock however the process ends, so a file whose lock is free belongs to the dead.
Every change is a new file, locked before it takes the old one's name: readers see all of
one state or all of the next, and never a living process without its lock.
"""

import contextlib
import fcntl
import json
import os
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bidder.builds import running

_HELD: "weakref.WeakSet[Presence]" = weakref.WeakSet()


def lock_is_free(descriptor: int) -> bool:
    """Does nobody hold it: is the process dead whose file this is?"""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: readers do not take each other for life
    except BlockingIOError:
        return False
    return True


class Presence:
    """This process, as `outbid status` shows it, from here to `close()` or the end of the process."""

    def __init__(self, state: Path, role: str, address: str | None = None, **fields: Any) -> None:
        self._path = state / "run" / f"{role}.{os.getpid()}.json"
        self._fields: dict[str, Any] = {
            "role": role,
            "pid": os.getpid(),
            "address": address,
            "build": running().name,
            "digest": running().digest,
            "started": int(time.time()),
        } | fields
        self._descriptor = -1
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write()
        _HELD.add(self)

    def update(self, **fields: Any) -> None:
        """Say something new; the fields of before stay."""
        self._fields |= fields
        self._write()

    def close(self) -> None:
        """The clean end: the file goes first, then its lock."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            self._let_go()

    def hand_over(self) -> int:
        """The descriptor of the lock: while a successor (of the same pid) holds it, this file tells of the living."""
        kept, self._descriptor = self._descriptor, -1
        return kept

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(json.dumps(self._fields, indent=1).encode() + b"\n")
            new.rename(self._path)
        except BaseException:
            os.close(descriptor)
            raise
        self._let_go()
        self._descriptor = descriptor

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _forget_in_child() -> None:
    """A forked child shares its parent's lock; keeping it would keep a dead parent alive."""
    for presence in list(_HELD):
        presence._let_go()


os.register_at_fork(after_in_child=_forget_in_child)


def _read(path: Path) -> dict[str, Any] | None:
    """What a living process says at `path`; None, and no file any more, if it is dead."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if lock_is_free(descriptor):
                with contextlib.suppress(FileNotFoundError):
                    # Free may also mean: replaced since it was opened. Its name shows which.
                    if path.stat().st_ino != os.fstat(descriptor).st_ino:
                        continue
                    path.unlink()
                return None
            said: dict[str, Any] = json.loads(file.read())
            return said


def present(state: Path) -> list[dict[str, Any]]:
    """What every living process of this host says of itself, by role and pid; files of the dead are removed."""
    found = [_read(path) for path in (state / "run").glob("*.*.json")]
    return sorted((said for said in found if said is not None), key=lambda said: (said["role"], said["pid"]))
