"""The key file as it is changed and followed: rotation without losing a token.

    kid hex64 [added=TIME] [sealing=TIME] [sealed=TIME]      TIME: UTC, ISO 8601, whole seconds

The first line seals, all open. A rotation is three steps, and between two of them every process that opens tokens (the
trackers of all hosts) has read the file: add() puts a new key at the end, promote() moves it to the front, remove()
takes one away that has sealed nothing for longer than any token of it lives. `KeyFile.refresh` reads a changed file.
Writers take turns by a lock, and a file appears whole or not at all. Old builds read files without the times only.
"""

import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bidder.money.tokens import SECRET_BYTES, Key, KeyFileError, Keys, create_keys, key_of, load_keys
from bidder.ops.log import Log

FILE = Path("keys", "token.keys")  # in the state directory
KIDS = 256


@dataclass(frozen=True, slots=True)
class Line:
    """A key, and when it came, began to seal, and ended to; None: not known, or not yet."""

    key: Key
    added: datetime | None = None
    sealing: datetime | None = None
    sealed: datetime | None = None

    def text(self) -> str:
        """As it stands in the file."""
        times = {name: getattr(self, name) for name in ("added", "sealing", "sealed")}
        words = [f"{name}={time.strftime('%Y-%m-%dT%H:%M:%SZ')}" for name, time in times.items() if time is not None]
        return " ".join([str(self.key.kid), self.key.secret.hex(), *words])


def read_lines(path: Path) -> list[Line]:
    """All keys, the sealing one first. KeyFileError as `load_keys`; a time that is none is not known."""
    load_keys(path)
    found = []
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        if line.strip():
            said = dict(word.split("=", 1) for word in line.split()[2:])
            times = [_time(said.get(name)) for name in ("added", "sealing", "sealed")]
            found.append(Line(key_of(line, f"{path}:{number}"), *times))
    return found


def _time(text: str | None) -> datetime | None:
    with contextlib.suppress(ValueError):
        if text:
            found = datetime.fromisoformat(text)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def add(path: Path, now: datetime) -> int:
    """A new key that opens and does not seal yet; its kid. KeyFileError where 256 keys are there."""
    with _changing(path) as lines:
        taken = {line.key.kid for line in lines}
        newest = max(taken)
        free = [kid % KIDS for kid in range(newest + 1, newest + 1 + KIDS) if kid % KIDS not in taken]
        if not free:
            raise KeyFileError(f"{path}: it has {KIDS} keys; remove old ones first")
        lines.append(Line(Key(free[0], secrets.token_bytes(SECRET_BYTES)), added=now))
        return free[0]


def promote(path: Path, kid: int, now: datetime) -> None:
    """From now on this one seals. It has to be known to all who open by now."""
    with _changing(path) as lines:
        at = _place(path, lines, kid)
        if at == 0:
            return
        lines[0] = replace(lines[0], sealed=now)
        lines.insert(0, replace(lines.pop(at), sealing=now, sealed=None))


def remove(path: Path, kid: int, now: datetime, longest_life: timedelta, force: bool = False) -> None:
    """Take a key away. KeyFileError for the one that seals, and unless `force` for one whose tokens may still live."""
    with _changing(path) as lines:
        at = _place(path, lines, kid)
        if at == 0:
            raise KeyFileError(f"{path}: kid {kid} seals; promote another one first")
        until = expires(lines[at], longest_life)
        if not force and (until is None or until > now):
            said = "nobody knows until when" if until is None else f"until {until:%Y-%m-%d %H:%M} UTC"
            raise KeyFileError(f"{path}: tokens of kid {kid} live {said}; --force removes it all the same")
        del lines[at]


def expires(line: Line, longest_life: timedelta) -> datetime | None:
    """When the last token that it may have sealed ends; None: not known, or it seals."""
    if line.sealed is not None:
        return line.sealed + longest_life
    return line.added if line.added is not None and line.sealing is None else None  # it has never sealed


def _place(path: Path, lines: list[Line], kid: int) -> int:
    for at, line in enumerate(lines):
        if line.key.kid == kid:
            return at
    raise KeyFileError(f"{path}: there is no kid {kid}; there are {', '.join(str(line.key.kid) for line in lines)}")


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[Line]]:
    """The lines, to be changed in place; what they are afterwards takes the place of the file at once."""
    create_keys(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # it ends with the descriptor
        lines = read_lines(path)
        before = list(lines)
        yield lines
        if lines != before:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as draft:  # 0600
                draft.write("".join(f"{line.text()}\n" for line in lines).encode())
                draft.flush()
                os.fsync(draft.fileno())
            Path(draft.name).rename(path)
            os.fsync(directory)
    finally:
        os.close(directory)


class KeyFile:
    """A key file that other processes change."""

    def __init__(self, path: Path, log: Log) -> None:
        self._path = path
        self._log = log
        self._seen: tuple[int, int, int] | None = None

    def refresh(self) -> Keys | None:
        """The keys of a file that is new or changed; None: nothing has changed, or nothing usable."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return None  # the bidder's first start makes it
        seen = (now.st_ino, now.st_mtime_ns, now.st_size)
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            keys = load_keys(self._path)
        except (KeyFileError, OSError) as error:
            self._log.error("token keys refused; those of before stay", reason=str(error))
            return None
        self._log.info("token keys read", kids=[key.kid for key in keys])
        return keys
