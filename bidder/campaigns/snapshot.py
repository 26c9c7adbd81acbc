"""Books in the state directory: `book/book-<generation>.bin` and `book/current`, which names one of them.

    compile_book(path_of(...)) -> publish() -> Follower.refresh() in whoever reads

A new book is mapped and checked before the old one is let go: all of it by who publishes it, its header
by who opens it afterwards (stamp.py). A bad one is refused once, counted, and the last good one serves on;
at a start, that is the newest of the kept files that is good.
"""

from pathlib import Path

from bidder._fast.book import Book, BookError
from bidder.campaigns.stamp import is_stamped, stamp, stamp_of
from bidder.ops.durable import replace

KEPT = 2  # generations: the one that is served, and the one before


def path_of(state: Path, generation: int) -> Path:
    return state / "book" / f"book-{generation}.bin"


def _pointer(state: Path) -> Path:
    return state / "book" / "current"


def _published(state: Path) -> int | None:
    """What `current` names; None where nothing was published, BookError where it names nothing."""
    try:
        text = _pointer(state).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BookError(f"{_pointer(state)}: {error}") from None
    if not text.isdigit():
        raise BookError(f"{_pointer(state)}: the number of a generation is wanted, not {text[:40]!r}")
    return int(text)


def current_generation(state: Path) -> int | None:
    """What `current` names; None where that is nothing."""
    try:
        return _published(state)
    except BookError:
        return None


def _open(path: Path, generation: int, *, whole: bool = False) -> Book:
    book = Book.open(path, checked=not whole and is_stamped(path))
    if book.revision != generation:
        raise BookError(f"{path}: holds generation {book.revision}")
    return book


def current(state: Path) -> Book | None:
    """The published book; None where nothing was published, BookError with the reason where it cannot be served."""
    generation = _published(state)
    return None if generation is None else _open(path_of(state, generation), generation)


def publish(state: Path, generation: int) -> None:
    """Makes a compiled book the current one, durably, and removes all but it and the one before.

    BookError, and everything stays as it was, where the new one cannot be served.
    """
    path = path_of(state, generation)
    _open(path, generation, whole=True)
    stamp(path)
    before = current_generation(state)
    replace(_pointer(state), f"{generation}\n".encode())
    kept = {path_of(state, number) for number in (generation, before) if number is not None}
    older = sorted(set(_files(state)) - kept, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in older[max(0, KEPT - len(kept)) :]:
        path.unlink(missing_ok=True)
        stamp_of(path).unlink(missing_ok=True)
    for path in _pointer(state).parent.glob("*.tmp"):
        path.unlink(missing_ok=True)


def forget(state: Path) -> None:
    """Serve nothing from what was published before: no book is current until the next `publish`."""
    _pointer(state).unlink(missing_ok=True)


def _files(state: Path) -> list[Path]:
    return [path for path in (state / "book").glob("book-*.bin") if path.stem.removeprefix("book-").isdigit()]


class Follower:
    """Follows `current` for one process: keeps the last good book and says why a newer one was refused."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._pointer = _pointer(state)
        self._seen: tuple[int, int] | None = None
        self.book: Book | None = None
        self.refused = 0
        self.reason = ""  # why `current` is not what is served; empty: it is

    def refresh(self) -> Book | None:
        """The book to serve from now on where that has changed, else None. Look at `reason` afterwards."""
        try:
            status = self._pointer.stat()
        except OSError:
            return None  # nothing was ever published
        seen = (status.st_ino, status.st_mtime_ns)
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            book = current(self._state)
            self.reason = ""
        except BookError as error:
            self.refused += 1
            self.reason = str(error)
            book = self._newest_good() if self.book is None else None
        if book is not None:
            self.book = book
        return book

    def _newest_good(self) -> Book | None:
        for path in sorted(_files(self._state), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            try:
                return _open(path, int(path.stem.removeprefix("book-")))
            except BookError:
                continue  # `reason` has the fault that matters: that of the current one
        return None
