"""Child processes that die with us, even when we are killed with -9.

spawn(argv) -> Popen; end(process, steps) -> exit code. Times: seconds.
As root, children run as `nobody`. They get a session of their own, so that Ctrl-C reaches only
the parent, which ends them in its order. Linux only: the tie is the kernel's PR_SET_PDEATHSIG.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LOG_LIMIT_BYTES = 16 << 20  # then the log becomes `<name>.1`, and the older one goes

_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork: between fork and exec nothing is imported


class EmbeddedError(Exception):
    """A service cannot be had, or does not run. One line for a person: what, where, what to do."""


class Account(NamedTuple):
    """Who a child runs as."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """`nobody` where we are root; None where we are somebody, and children run as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError("there is no user `nobody`, and Postgres refuses to run as root; add that user") from None
    return Account(entry.pw_uid, entry.pw_gid)


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    log: Path | None,
    environ: Mapping[str, str],
    account: Account | None,
    on_orphaned: signal.Signals,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `argv`; the kernel sends it `on_orphaned` the moment that we are gone.

    Call it from the main thread: the kernel counts the *thread* that forked as the parent, and
    would end the child with it. `log` is opened by us and appended to (None: what it says goes
    where we say ours); `cwd` must be enterable by `account`.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("spawn() outside the main thread: the child would die with this thread")
    with _appending(log) as output, _undisturbed():
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            preexec_fn=_tie(on_orphaned),  # noqa: PLW1509 - it imports nothing and takes no lock of ours
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def _tie(on_orphaned: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec, after setuid, which would have cleared the tie."""
    parent = os.getpid()

    def tie() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if _libc.prctl(PR_SET_PDEATHSIG, int(on_orphaned), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died before the tie was there
            os._exit(1)

    return tie


def run(
    argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str], account: Account | None
) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end as `account`, or to ours; OSError where it cannot be executed."""
    with _undisturbed():
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_tie(signal.SIGKILL),  # noqa: PLW1509 - nothing of it takes a lock
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    with process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits: Python runs callbacks around a fork, and a KeyboardInterrupt in one of them would be lost.

    The child does not inherit it, see `_tie`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> int:
    """Send each signal in turn, wait its seconds, and at last kill; returns the exit code."""
    for how, within_s in steps:
        if process.poll() is not None:
            break
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
    if process.poll() is None:
        process.kill()
    return process.wait()


@contextlib.contextmanager
def _appending(log: Path | None) -> Iterator[int | None]:
    if log is None:
        yield None
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def trim_log(log: Path, limit: int = LOG_LIMIT_BYTES) -> None:
    """Keep a log that a running service appends to below `limit`, with one older part beside it.

    Copied and cut in place, for the service holds it open and knows no other way; lines written in that instant may go.
    """
    if log.exists() and log.stat().st_size > limit:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def last_complaint(log: Path) -> str:
    """The line of a log that most likely says why its writer ended."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    loud = [line for line in lines if "FATAL" in line or "PANIC" in line or "could not" in line]
    return (loud or lines or ["it said nothing"])[-1].strip()
