"""Plays: processes of its own, each an open-loop generator with its share of the requests; one summary of all.

play(options) -> spawn -> "ready" of all -> "go" -> progress, once a second -> Summary
A process that loses its parent ends at once. An interrupt stops the sending; what is under way is still finished,
a second one ends everything.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import uvloop

from bidder.simulator.options import DEFAULT_SECONDS, Options, PlayError
from bidder.simulator.player import Player, Script
from bidder.simulator.source import corpus, synthetic
from bidder.simulator.summary import Summary

PROGRESS_S = 1.0
READY_S = 60.0
GC_EVERY = 100_000  # allocations: what a request leaves behind has no cycles


@dataclass(frozen=True, slots=True)
class Report:
    """What a process tells its parent. `underway`: requests, notices."""

    summary: Summary
    underway: tuple[int, int]
    done: bool


Progress = Callable[[Summary, tuple[int, int]], None]


def play(options: Options, progress: Progress | None = None) -> Summary:
    """Play to the end. PlayError where nothing can be played to, or a process of ours dies."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes: list[BaseProcess] = []
    try:
        for number in range(options.processes):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_process, args=(options, number, theirs), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        for pipe in pipes:
            _expect_ready(pipe)
        for pipe in pipes:
            pipe.send("go")
        return _gather(pipes, progress)
    finally:
        for pipe in pipes:
            pipe.close()  # which ends a process that still plays
        for process in processes:
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


def _expect_ready(pipe: Connection) -> None:
    if not pipe.poll(READY_S):
        raise PlayError(f"a process of the exchange is not ready after {READY_S:g} s")
    try:
        said = pipe.recv()
    except EOFError:
        raise PlayError("a process of the exchange died while it started") from None
    if said != "ready":
        raise PlayError(str(said))


def _gather(pipes: list[Connection], progress: Progress | None) -> Summary:
    """Reports until all are done."""
    latest: dict[Connection, Report] = {}
    stopping = False
    while not (len(latest) == len(pipes) and all(report.done for report in latest.values())):
        playing = [pipe for pipe in pipes if not (pipe in latest and latest[pipe].done)]
        try:
            for pipe in wait(playing):
                assert isinstance(pipe, Connection)
                latest[pipe] = pipe.recv()
        except EOFError:
            raise PlayError("a process of the exchange died; its part of the books is lost") from None
        except KeyboardInterrupt:
            if stopping:
                raise
            stopping = True
            for pipe in playing:
                pipe.send("stop")
        if progress is not None and len(latest) == len(pipes):
            progress(_together(latest), _underway(latest))
    return _together(latest)


def _together(latest: dict[Connection, Report]) -> Summary:
    whole = Summary()
    for report in latest.values():
        whole.merge(report.summary)
    return whole


def _underway(latest: dict[Connection, Report]) -> tuple[int, int]:
    return sum(report.underway[0] for report in latest.values()), sum(report.underway[1] for report in latest.values())


def bodies_of(options: Options) -> list[bytes]:
    """All that is played, in order."""
    if options.source is not None:
        return corpus(options.source)
    expected = options.requests or int(options.rate * (options.seconds or DEFAULT_SECONDS) * 1.2) + 100
    return synthetic(options.seed, expected)


def _process(options: Options, number: int, pipe: Connection) -> None:
    """The life of one process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells us what to do about it
    try:
        script = Script(bodies_of(options), number, options.processes)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_perform(options, script, pipe))
    except PlayError as error:
        pipe.send(str(error))
    except (EOFError, BrokenPipeError):
        pass  # the parent has gone


def _give_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A bug in a callback: the books are wrong from here on, so there will be none."""
    loop.default_exception_handler(context)
    os._exit(1)


async def _perform(options: Options, script: Script, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_give_up)
    player = Player(options, script)
    await player.open()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_EVERY)
    pipe.send("ready")
    await loop.run_in_executor(None, pipe.recv)
    playing = loop.create_task(player.run())

    def heard() -> None:
        try:
            pipe.recv()
        except EOFError:
            playing.cancel()
            loop.remove_reader(pipe.fileno())
        else:
            player.stop()

    loop.add_reader(pipe.fileno(), heard)
    with contextlib.suppress(asyncio.CancelledError):
        while not (await asyncio.wait([playing], timeout=PROGRESS_S))[0]:
            pipe.send(Report(player.summary(), player.underway, done=False))
        pipe.send(Report(playing.result(), (0, 0), done=True))
