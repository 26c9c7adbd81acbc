"""The pool of workers: rows, arms, builds, deaths. The programs that it starts here only sleep, or die."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bidder._fast.board import Board
from bidder.builds import Build
from bidder.workers import ROWS, NoRowError, WorkerPool
from tests.builds import program


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def run(tmp_path: Path, scenario: Callable[[WorkerPool, Board, Build], Awaitable[None]]) -> None:
    """With a pool that is looked after; whatever it started has gone afterwards."""
    build = Build("sleepy", tmp_path, program(tmp_path / "python", "exec sleep 1000"), "")

    async def live() -> None:
        board = Board(tmp_path / "board")
        pool = WorkerPool(tmp_path, board, 0)
        job = asyncio.ensure_future(pool.run())
        try:
            await scenario(pool, board, build)
        finally:
            await pool.stop()
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    asyncio.run(live())


def test_arms_have_workers_of_builds_of_their_own(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, board: Board, build: Build) -> None:
        pool.grow(0, build, 2)
        other = Build("other", tmp_path, build.python, "")
        pool.grow(1, other, 1)
        await eventually(lambda: (len(pool.pids(0)), len(pool.pids(1))) == (2, 1))
        assert pool.rows == [0, 1, 2]
        assert [(post.arm, post.build.name) for post in pool.posts()] == [(0, "sleepy"), (0, "sleepy"), (1, "other")]
        environ = Path(f"/proc/{pool.pids(1)[0]}/environ")
        wanted = {b"OUTBID_BUILD=other", f"PYTHONPATH={tmp_path}".encode()}
        # Both at once: it is empty until it executes, and again while the shell becomes what only sleeps.
        await eventually(lambda: wanted <= set(environ.read_bytes().split(b"\0")))

    run(tmp_path, scenario)


def test_a_row_is_free_only_when_its_last_worker_is_gone(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, board: Board, build: Build) -> None:
        pool.grow(0, build, 2)
        (stubborn,) = pool.grow(1, Build("deaf", tmp_path, program(tmp_path / "deaf", "trap '' TERM\nsleep 1000"), ""))
        await eventually(lambda: len(pool.pids()) == 3)
        pid = pool.pids(1)[0]
        await eventually(lambda: children(pid))  # by then it hears no SIGTERM any more
        board.claim(stubborn.row, pid)
        pool.shrink(1)
        assert (pool.pids(1), pool.rows) == ([], [0, 1, 2])
        assert pool.grow(0, build)[0].row == 3
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: pool.is_gone(stubborn))
        assert pool.rows == [0, 1, 3]
        assert board.rows() == []
        assert pool.grow(0, build)[0].row == 2

    run(tmp_path, scenario)


def children(pid: int) -> bool:
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_deaths_are_counted_by_arm_and_made_good(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, board: Board, build: Build) -> None:
        pool.grow(0, build)
        pool.grow(1, build)
        await eventually(lambda: len(pool.pids()) == 2)
        killed = pool.pids(1)[0]
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: pool.pids(1) not in ([], [killed]))
        assert (pool.deaths(0), pool.deaths(1)) == (0, 1)
        pool.shrink(1)
        await eventually(lambda: pool.rows == [0])
        assert pool.deaths(1) == 1

    run(tmp_path, scenario)


def test_a_build_whose_interpreter_is_gone_costs_its_own_seat_and_no_other(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, board: Board, build: Build) -> None:
        pool.grow(0, build)
        pool.grow(1, Build("gone", tmp_path, tmp_path / "no-such-python", ""))
        await eventually(lambda: pool.deaths(1) > 1)
        assert len(pool.pids(0)) == 1

    run(tmp_path, scenario)


def test_only_who_says_so_on_the_board_is_ready(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, board: Board, build: Build) -> None:
        (post,) = pool.grow(0, build)
        await eventually(lambda: len(pool.pids()) == 1)
        assert (pool.ready(0), pool.on_board(post)) == (0, None)
        board.claim(post.row, pool.pids()[0])
        board.beat(post.row, 1, 7, 0, ready=True)
        assert pool.ready(0) == 1
        board.claim(post.row, 1)  # of somebody who had the row before
        assert pool.ready(0) == 0

    run(tmp_path, scenario)


def test_a_full_board_starts_no_worker_of_those_that_are_wanted(tmp_path: Path) -> None:
    async def scenario(pool: WorkerPool, board: Board, build: Build) -> None:
        with pytest.raises(NoRowError, match="127 workers at most"):
            pool.grow(0, build, ROWS + 1)
        assert pool.rows == []

    run(tmp_path, scenario)
