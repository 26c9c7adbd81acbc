"""How a supervisor becomes another build: the same process, its sockets and its children, other code.

    old code: become(build, handover) -> exec -> new code: take(descriptor) -> Handover
    where the new code cannot start: new code: give_back(handover, why) -> exec -> old code, which hears why

What is handed over travels in a memory file that only this process has. Fields are added at the end, with defaults: a
build reads what the build before wrote, and the build after it as well. Workers notice nothing of it.
"""

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from bidder.builds import Build

HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)  # while no code is there to hear them


class Handover(msgspec.Struct):
    """Descriptors, workers, and the restart that is under way."""

    listening: int
    control: int
    presence: int
    previous: dict[str, Any]  # the build that hands over, as `Build.as_dict` has it
    argv: list[str]  # of its `outbid bidder`, but for --handover
    posts: list[dict[str, Any]]  # bidder.workers.WorkerPool.handed_over
    deaths: dict[int, int]
    restart: dict[str, Any]
    failure: str = ""  # why the build that was meant to take over could not


def become(build: Build, handover: Handover) -> NoReturn:
    """Run that build's supervisor in this process from here on, or ours again where it cannot be executed at all."""
    hold_back()
    try:
        _exec(build, handover)
    except OSError as error:
        give_back(handover, f"{build.python}: {error.strerror}")


def give_back(handover: Handover, why: str) -> NoReturn:
    """Back to the code that handed over."""
    hold_back()
    handover.failure = why
    _exec(Build.of(handover.previous), handover)


def _exec(build: Build, handover: Handover) -> NoReturn:
    for descriptor in (handover.listening, handover.control, handover.presence):
        os.set_inheritable(descriptor, True)
    carrier = os.memfd_create("outbid-handover", 0)
    os.write(carrier, msgspec.json.encode(handover))
    argv = build.command("bidder", *handover.argv, "--handover", str(carrier))
    os.execve(argv[0], argv, build.environ())


def take(carrier: int) -> Handover:
    """What the code before left; its descriptors are ours alone again."""
    with os.fdopen(carrier, "rb") as file:
        file.seek(0)
        handover = msgspec.json.decode(file.read(), type=Handover)
    for descriptor in (handover.listening, handover.control, handover.presence):
        os.set_inheritable(descriptor, False)
    return handover


def hold_back() -> None:
    """Signals that come from here on wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)


def hear_again() -> None:
    """Signals that came meanwhile are delivered now: the handlers are there."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def argv_of(state: Path, settings: Path | None) -> list[str]:
    """Of `outbid bidder`."""
    return ["--state", str(state), *([] if settings is None else ["--settings", str(settings)])]
