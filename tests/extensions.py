"""Cython of the tests' own, compiled on first use into a directory under build/ and again when a source has changed.

once(directory, sources, make): calls `make` where `directory` does not hold these sources' build.
cythonize(modules, directory): the modules of these names, each of its .pyx.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
SETUP = Path(__file__).with_name("extensions_setup.py")


class NotBuilt(Exception):
    """What is missing, for the user."""


def compiler() -> str:
    """NotBuilt: there is none."""
    found = os.environ.get("CC", "cc")
    if shutil.which(found) is None:
        raise NotBuilt(f"no C compiler ({found})")
    return found


def once(directory: Path, sources: Sequence[Path], make: Callable[[], None]) -> None:
    """`make` into an empty `directory`, unless that is done; two processes do it one after the other."""
    mark, wanted = directory / "built", _digest([*sources, SETUP, Path(__file__)])
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text(encoding="ascii") == wanted:
            return
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        make()
        mark.write_text(wanted, encoding="ascii")


def cythonize(
    modules: Mapping[str, Path], directory: Path, root: Path = CHECKOUT, environ: Mapping[str, str] = os.environ
) -> None:
    """Compile them into `directory`; `root` holds the `bidder` that they cimport from. NotBuilt: it went wrong."""
    compiler()
    environ = {
        **environ,
        "OUTBID_TEST_MODULES": os.pathsep.join(f"{name}={source}" for name, source in modules.items()),
        "OUTBID_TEST_C": str(directory / "c"),
    }
    command = [sys.executable, str(SETUP), "--quiet", "build_ext", "-j2"]
    run([*command, "--build-lib", str(directory), "--build-temp", str(directory / "o")], root, environ)


def run(command: Sequence[str], cwd: Path, environ: Mapping[str, str] | None = None) -> None:
    """A step of a build. NotBuilt: it failed, with the end of what it said."""
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuilt(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _digest(sources: Sequence[Path]) -> str:
    """Of everything that goes into a build."""
    text = b"\0".join(path.name.encode() + path.read_bytes() for path in sources)
    return hashlib.sha256(text + sys.version.encode()).hexdigest()
