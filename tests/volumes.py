"""A disk of a test's own: a small ext4 in a file, mounted, that can be filled and frozen. As root only.

with mounted(directory, image) as volume: volume.fill(); volume.free(); volume.freeze(); volume.thaw()
While it is frozen every write to it hangs in the kernel, as on a disk that does not answer; SIGKILL cannot end it.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SIZE = 16 << 20
WATCHDOG_S = 60  # then it is thawed whatever became of the test


class NoVolume(Exception):
    """This machine cannot have one; the message says why."""


class Volume:
    """The mounted disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._filler = directory / "filler"
        self._watchdog: subprocess.Popen[bytes] | None = None

    def fill(self) -> None:
        """Not a block is left."""
        with self._filler.open("ab", buffering=0) as file:
            for block in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(block))

    def free(self) -> None:
        """Room again."""
        self._filler.unlink()

    def freeze(self) -> None:
        """Every write hangs from now on."""
        self._watchdog = subprocess.Popen(["sh", "-c", f"sleep {WATCHDOG_S}; exec fsfreeze -u {self.directory}"])
        subprocess.run(["fsfreeze", "-f", str(self.directory)], check=True, timeout=20)

    def thaw(self) -> None:
        """What hung goes on."""
        subprocess.run(["fsfreeze", "-u", str(self.directory)], check=False, capture_output=True, timeout=20)
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.wait()
            self._watchdog = None


@contextlib.contextmanager
def mounted(directory: Path, image: Path, size: int = SIZE) -> Iterator[Volume]:
    """At `directory`, until the end of the block."""
    tools = ("mkfs.ext4", "fsfreeze", "mount", "umount")
    missing = [tool for tool in tools if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if os.geteuid() != 0 or missing:
        raise NoVolume(f"only root can mount a disk, with {', '.join(missing or tools)}")
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, timeout=60)
    directory.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-o", "loop,noatime", str(image), str(directory)], check=False, capture_output=True, timeout=60
    )
    if done.returncode:
        raise NoVolume(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    volume = Volume(directory)
    try:
        yield volume
    finally:
        volume.thaw()
        subprocess.run(["umount", str(directory)], check=True, timeout=60)
