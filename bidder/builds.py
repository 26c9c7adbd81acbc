"""Builds: the code that the processes of a host are started from, by name.

    add(state, name, path) -> Build;  use(state, name) -> current(state) -> build.command("worker", ...)

`<state>/builds/<name>/build.json`: where the code is, its interpreter, and a digest of it. `builds/current`: the name
that new processes are started from. A process of a build sees that code and no other: its own interpreter, or ours
with that directory before everything else. What it sees of us are the dependencies, where it has none of its own.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("bidder", "aggregator", "reporting")
CODE = (".py", ".so", ".pyx", ".sql")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
VARIABLE = "OUTBID_BUILD"  # tells a process the name that its build has here
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")  # must not reach a build's process
INSTALLED = ("site-packages", "dist-packages")
MADE = "outbid.digest"  # in an environment that was made here: of its code, as it was installed
GRACE_S = 5.0
CHECK_S = 20  # that a check may take; it ends itself then


class BuildError(Exception):
    """A build cannot be had, or is not what it was; one line: which, why, what to do."""


@dataclass(frozen=True, slots=True)
class Build:
    """`path`: the directory that holds the packages. `added`: Unix s; 0: nobody added it, it just runs."""

    name: str
    path: Path
    python: Path
    digest: str
    added: int = 0

    def command(self, *argv: str) -> list[str]:
        """`outbid ARGV...` of this build, wherever it is started from."""
        return [str(self.python), "-P", "-m", "bidder", *argv]

    def environ(self) -> dict[str, str]:
        """Ours, but for what would bring our code there."""
        environ = {name: value for name, value in os.environ.items() if name not in OURS}
        paths = [] if self.path.name in INSTALLED else [str(self.path)]
        if self.python == Path(sys.executable):  # our dependencies are its own
            kept = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            paths += [path for path in kept if path and not Path(path, "bidder").is_dir()]
        if paths:
            environ["PYTHONPATH"] = os.pathsep.join(paths)
        return environ | {VARIABLE: self.name}

    def verified(self) -> "Build":
        """Itself. BuildError: its code is not what it was when it was added."""
        if digest_of(self.path) != self.digest:
            raise BuildError(
                f"build {self.name}: the code in {self.path} is not what was added; "
                f"add it again: outbid build add {self.name} {self.path}"
            )
        return self

    def is_like(self, other: "Build") -> bool:
        """The same code, by the same name."""
        return (self.name, self.digest) == (other.name, other.digest)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"path": str(self.path), "python": str(self.python)}

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Build":
        """From `as_dict`; fields of later builds are ignored."""
        path, python = Path(said["path"]), Path(said["python"])
        return cls(str(said["name"]), path, python, str(said["digest"]), int(said["added"]))


def digest_of(path: Path) -> str:
    """Of all code in the packages at `path`: 32 hex digits. About 15 ms. BuildError where there is none."""
    hashed = hashlib.blake2b(digest_size=16)
    for package in PACKAGES:
        if not (path / package).is_dir():
            raise BuildError(f"{path}: holds no {package}/; a build has {', '.join(PACKAGES)}")
        for place, rooms, files in os.walk(path / package, followlinks=True):
            rooms.sort()
            for file in sorted(file for file in files if file.endswith(CODE)):
                name = Path(place, file)
                code = hashlib.blake2b(name.read_bytes(), digest_size=16).hexdigest()
                hashed.update(f"{name.relative_to(path)} {code}\n".encode())
    return hashed.hexdigest()


def here() -> Build:
    """The code of this process, as it is on the disk now."""
    path = Path(__file__).absolute().parents[1]
    return Build(os.environ.get(VARIABLE) or _version(), path, Path(sys.executable), digest_of(path))


@functools.cache
def running() -> Build:
    """The code of this process, as it was at the first call: let that be when it starts."""
    return here()


def _version() -> str:
    try:
        return importlib.metadata.version("outbid")
    except importlib.metadata.PackageNotFoundError:
        return "checkout"


def _room(state: Path, name: str) -> Path:
    if not NAME.fullmatch(name) or name == "current":
        raise BuildError(
            f"{name!r}: a build's name is 1 to 32 of a-z, 0-9, `.`, `_` and `-`, and begins with one of the first two"
        )
    return state.absolute() / "builds" / name


def add(state: Path, name: str, path: Path) -> Build:
    """Know the build at `path` (a directory, an environment, a wheel) by this name from now on; it takes the place of
    one of that name. BuildError: there is no build at `path`."""
    room, path = _room(state, name), path.absolute()
    if not path.exists():
        raise BuildError(f"{path}: no such directory or wheel")
    room.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.suffix == ".whl":
        python = _environment(room, path)
        code = _code_of(python)
    elif (path / "pyvenv.cfg").exists():
        python = path / "bin" / "python"
        code = _code_of(python)
    elif path.is_dir():
        own = path / ".venv" / "bin" / "python"
        python = own if own.exists() else Path(sys.executable)
        code = path
    else:
        raise BuildError(f"{path}: neither a directory nor a wheel (.whl)")
    build = Build(name, code, python, digest_of(code), int(time.time()))
    _write(room / "build.json", json.dumps(build.as_dict(), indent=1))
    return build


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.rename(path)


def _run(argv: list[str], what: str, within_s: float = 120.0) -> str:
    """Its stdout; BuildError with the last line that it said where it fails."""
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", env=environ, timeout=within_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{what}: {error}") from None
    if done.returncode != 0:
        raise BuildError(f"{what}: {_last(done.stderr) or _last(done.stdout) or f'exit code {done.returncode}'}")
    return done.stdout


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _code_of(python: Path) -> Path:
    """Where an environment has outbid."""
    question = "import bidder, os; print(os.path.dirname(os.path.abspath(bidder.__path__[0])))"
    return Path(_run([str(python), "-P", "-c", question], f"{python}: no outbid in there").strip())


def _environment(room: Path, wheel: Path) -> Path:
    """An environment of its own for a wheel, which sees our dependencies after what is in there; its interpreter.

    One that is there as it was made is taken again, and none is touched: processes may run in it.
    """
    prefix = f"venv-{hashlib.blake2b(wheel.read_bytes(), digest_size=4).hexdigest()}."
    for made in sorted(room.glob(f"{prefix}*")):
        if _is_whole(made):
            return made / "bin" / "python"
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=room))
    try:
        _run([sys.executable, "-m", "venv", "--without-pip", str(made)], "no environment could be made")
        python = made / "bin" / "python"
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)]
        _run([sys.executable, "-m", "pip", "--python", str(python), *install], f"{wheel}: cannot be installed")
        site = _site_of(made)
        ours = [path for path in sys.path if Path(path).name in INSTALLED]
        (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in ours), encoding="utf-8")
        (made / MADE).write_text(digest_of(site), encoding="ascii")  # last: without it, it is not whole
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return python


def _site_of(made: Path) -> Path:
    (site,) = made.glob("lib/python*/site-packages")
    return site


def _is_whole(made: Path) -> bool:
    try:
        return (made / MADE).read_text(encoding="ascii") == digest_of(_site_of(made))
    except (OSError, ValueError, BuildError):
        return False


def load(state: Path, name: str) -> Build:
    """The build of this name. BuildError: there is none."""
    path = _room(state, name) / "build.json"
    try:
        return Build.of(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        known = ", ".join(build.name for build in listed(state)) or "none yet"
        raise BuildError(f"no build {name!r}; there are: {known} (outbid build add NAME PATH)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(f"{path}: not what outbid wrote there ({error}); add it again") from None


def listed(state: Path) -> list[Build]:
    """All, by name."""
    return [load(state, path.parent.name) for path in sorted((state / "builds").glob("*/build.json"))]


def current(state: Path) -> Build | None:
    """What new processes are started from; None: what runs already. Not verified: see `Build.verified`."""
    try:
        name = (state / "builds" / "current").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return load(state, name)


def enter_current(state: Path, argv: list[str]) -> None:
    """Become the process of `outbid ARGV...` of the current build, where that is another one than ours.

    So a role that somebody else starts, as systemd does, runs what this host was last restarted to.
    """
    build = current(state)
    if build is None or build.name == os.environ.get(VARIABLE) or build.path == here().path:
        return
    command = build.command(*argv)
    try:
        os.execve(command[0], command, build.environ())
    except OSError as error:
        raise BuildError(f"build {build.name}, the current one: {build.python}: {error.strerror}") from None


def use(state: Path, name: str) -> Build:
    """Start new processes from this one. BuildError: it is not there, or not what it was."""
    build = load(state, name).verified()
    _write(state / "builds" / "current", name)
    return build


def remove(state: Path, name: str) -> None:
    """Forget it; its directory stays as it is, what was made for it here goes. BuildError: it is the current one."""
    load(state, name)
    now = current(state)
    if now is not None and now.name == name:
        raise BuildError(f"build {name} is the current one; use another first: outbid build use NAME")
    shutil.rmtree(_room(state, name))


def check(
    state: Path,
    build: Build,
    settings: Path | None = None,
    started: Callable[["subprocess.Popen[str]"], None] = lambda process: None,
) -> dict[str, Any]:
    """What `outbid worker --check` of that build says: {"ok": true, "build", "digest", "formats", ...}.

    BuildError with what it said where it cannot serve. Blocks, for CHECK_S at most. `started` gets the process, which
    may be killed.
    """
    argv = build.command("worker", "--check", "--state", str(state), *(["--settings", str(settings)] * bool(settings)))
    with tempfile.TemporaryDirectory(prefix="outbid-check-") as scratch:  # ours, for a check may be killed
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=build.environ() | {"TMPDIR": scratch},
            )
        except OSError as error:
            raise BuildError(f"build {build.name}: {build.python}: {error.strerror}") from None
        with process:
            started(process)
            try:
                output, complaints = process.communicate(timeout=CHECK_S + GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise BuildError(f"build {build.name}: its check did not end within {CHECK_S} s") from None
    try:
        said: dict[str, Any] = json.loads(_last(output))
        ok, digest, why = bool(said["ok"]), said["digest"], str(said.get("error"))
    except (ValueError, KeyError, TypeError):
        ok, digest, why = False, "", _last(complaints) or f"exit code {process.returncode}"
    if process.returncode == -signal.SIGALRM:
        ok, why = False, f"not done after {CHECK_S} s"
    elif process.returncode < 0:
        ok, why = False, f"ended by signal {-process.returncode}"
    if not ok or process.returncode != 0:
        raise BuildError(f"build {build.name} fails its check: {why}")
    if digest != build.digest:
        raise BuildError(f"build {build.name}: the code that ran its check has digest {digest}, not {build.digest}")
    return said
