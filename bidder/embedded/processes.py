"""Which processes of an earlier life still work in a directory: read from /proc.

A parent that was killed leaves Postgres shutting down; and a process id in `postmaster.pid` may
since belong to anyone. So neither the file nor the id is believed, only the working directory.
"""

import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")


def working_in(directory: Path, name: str) -> list[int]:
    """Ids of the processes called `name` whose working directory is `directory` (a real path)."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cwd").readlink() == directory and (entry / "comm").read_text().strip() == name:
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or is another user's and so none of ours
    return sorted(found)


def wait_until_left(
    directory: Path, name: str, within_s: float, give_up: Callable[[float], bool] = lambda waited_s: False
) -> list[int]:
    """Wait for those processes to end; who is left after `within_s`, or once `give_up(waited)` says so."""
    begun = time.monotonic()
    while True:
        left = working_in(directory, name)
        waited_s = time.monotonic() - begun
        if not left or waited_s >= within_s or give_up(waited_s):
            return left
        time.sleep(0.05)
