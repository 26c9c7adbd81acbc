"""Builds that are made to be tried: this checkout's code, but for one changed module.

make(place, "crashes") -> a directory for `outbid build add`: symlinks to what is as it was, and the changed module.
What is changed is appended to the module, so that it stays what it is in everything else.
"""

from pathlib import Path
from typing import NamedTuple

from bidder.builds import PACKAGES
from tests.bench.servers import CHECKOUT


class Change(NamedTuple):
    """`appended` to the `module`, a path in the checkout; `what` it does, for people."""

    what: str
    module: str
    appended: str


GOOD = {
    "blue": Change("nothing that one could tell", "bidder/worker.py", "# blue\n"),
    "green": Change("nothing that one could tell", "bidder/worker.py", "# green\n"),
}

# What `outbid restart` gives up, and goes on with the build that runs.
BROKEN = {
    "no-import": Change("does not import", "bidder/worker.py", "raise ImportError('this build was made to fail')\n"),
    "no-book": Change(
        "cannot compile a campaign",
        "bidder/campaigns/compile.py",
        "def compile_book(*what, **how):\n    raise ValueError('not like this')\n",
    ),
    "dies": Change(
        "passes its check, dies as a worker", "bidder/worker.py", "def run(*what, **how):\n    raise SystemExit(3)\n"
    ),
    "never-ready": Change(
        "passes its check, never has a book", "bidder/worker.py", "Worker.ready = property(lambda worker: False)\n"
    ),
    "no-supervisor": Change(
        "has good workers, and a supervisor that does not start",
        "bidder/supervisor.py",
        "Supervisor.__init__ = lambda *what, **how: 1 / 0\n",
    ),
    "no-start": Change(
        "has a supervisor that fails as it begins",
        "bidder/supervisor.py",
        "async def fail(supervisor):\n    raise ValueError('not today')\n\n\nSupervisor.run = fail\n",
    ),
}

ALL = GOOD | BROKEN


def make(place: Path, name: str) -> Path:
    """The build of this name, as a new directory in `place`."""
    change, home = ALL[name], place / name
    home.mkdir(parents=True)
    for package in PACKAGES:
        (home / package).symlink_to(CHECKOUT / package)
    _detach(home, Path(change.module))
    text = (CHECKOUT / change.module).read_text(encoding="utf-8")
    (home / change.module).write_text(f"{text}\n\n{change.appended}", encoding="utf-8")
    return home


def _detach(home: Path, module: Path) -> None:
    """The directories on the way to the module become the build's own; what is in them stays a link."""
    for directory in reversed(module.parents[:-1]):
        target = (home / directory).resolve()
        (home / directory).unlink()
        (home / directory).mkdir()
        for entry in target.iterdir():
            if entry.name != "__pycache__":
                (home / directory / entry.name).symlink_to(entry)
    (home / module).unlink()
