"""Builds that are made to be tried: this checkout's code, but for one changed module.

make(place, "blue") -> a directory for `outbid build add`: symlinks to what is as it was, and the changed module.
What is changed is appended to the module, so that it stays what it is in everything else.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

from bidder.builds import PACKAGES
from tests.bench.servers import CHECKOUT

SPOILS = Path(__file__).with_name("spoils.py")


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


class Bad(NamedTuple):
    """A build that a canary has to find out. `within_s`: from its slice to the rollback."""

    what: str
    spoil: str
    within_s: float


GUARDED_S = 3.0  # two, and the second in which it is looked at
TESTED_S = 30.0
BAD = {
    "crashes": Bad("dies at every 20th request", "crashes", TESTED_S),  # two deaths, and a start between them
    "hangs": Bad("takes 100 ms for an answer", "hangs", GUARDED_S),
    "bids-10x": Bad("bids ten times as much", "bids_10x", GUARDED_S),
    "bids-more": Bad("bids half as much again", "bids_more", TESTED_S),
    "lies": Bad("bids half as much again, and does not count it", "lies", TESTED_S),
    "bids-0x": Bad("bids on nothing", "bids_0x", TESTED_S),
    "no-json": Bad("answers what is not JSON", "no_json", GUARDED_S),
    "wrong-imp": Bad("answers for an imp that is not there", "wrong_imp", TESTED_S),  # a few a second are looked at
    "leaks": Bad("keeps 2 MB of every request", "leaks", TESTED_S),
}
SPOILED = """
from bidder.canary import spoils

_send = Answering._send
Answering._send = lambda door, caller, packet: _send(door, caller, packet and spoils.{spoil}(packet))
"""


def bad(place: Path, name: str) -> Path:
    """The bad build of this name, likewise."""
    change = Change(BAD[name].what, "bidder/canary/answering.py", SPOILED.format(spoil=BAD[name].spoil))
    home = changed(place / name, change)
    shutil.copy(SPOILS, home / "bidder" / "canary" / SPOILS.name)
    return home


def make(place: Path, name: str) -> Path:
    """The good or broken build of this name, as a new directory in `place`."""
    return changed(place / name, (GOOD | BROKEN)[name])


def changed(home: Path, change: Change) -> Path:
    """Such a directory."""
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
