"""The steps of a restart, with workers that only sleep: what the board says of them, the test writes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bidder import restart
from bidder._fast.board import Board
from bidder.builds import Build
from bidder.ops.audit import AuditTrail
from bidder.ops.control import ControlError
from bidder.restart import Restart, RestartError
from bidder.workers import WorkerPool
from tests.unit.test_workers import eventually, run

Scenario = Callable[[Restart, WorkerPool, Board, Build], Awaitable[None]]


def restarting(tmp_path: Path, scenario: Scenario) -> None:
    """Two workers of a build serve when it begins."""

    async def live(pool: WorkerPool, board: Board, build: Build) -> None:
        (tmp_path / "host").write_text("a1b2c3d4e5f6\n")
        steps = Restart(tmp_path, pool, AuditTrail(tmp_path), lambda build: None, None)
        for post in pool.grow(0, build, 2):
            await eventually(lambda post=post: post.seat.pid is not None)
            board.claim(post.row, post.seat.pid or 0)
            board.beat(post.row, 1, 7, 0, ready=True)
        await scenario(steps, pool, board, build)

    run(tmp_path, live)


def test_a_new_worker_that_hangs_is_given_up_and_the_old_one_keeps_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "READY_S", 0.2)

    async def scenario(steps: Restart, pool: WorkerPool, board: Board, build: Build) -> None:
        before = pool.pids(0)
        hangs = Build("hangs", tmp_path, build.python, "")
        with pytest.raises(RestartError, match=r"worker of build hangs was not ready after 0.2 s"):
            await steps.roll(hangs)
        assert pool.pids(0) == before
        await eventually(lambda: pool.rows == [0, 1])

    restarting(tmp_path, scenario)


def test_a_worker_takes_the_place_of_another_only_when_it_has_gone_on_for_a_moment(tmp_path: Path) -> None:
    async def scenario(steps: Restart, pool: WorkerPool, board: Board, build: Build) -> None:
        old = pool.posts(0)
        new_build = Build("new", tmp_path, build.python, "")
        rolling = asyncio.ensure_future(steps.roll(new_build))
        for row in (2, 0):  # the second takes the row that the first old one has left
            await eventually(lambda row=row: any(p.row == row and p.seat.pid and p.on_trial for p in pool.posts(0)))
            (new,) = [post for post in pool.posts(0) if post.on_trial]
            board.claim(row, new.seat.pid or 0)
            board.beat(row, 1_000, 7, 0, ready=True)
            await asyncio.sleep(0)
            assert new.on_trial
            assert len(pool.posts(0)) == 3, "it stands beside the others"
            board.beat(row, 1_000 + restart.STEADY_MS, 7, 0, ready=True)
        await rolling
        assert {post.build.name for post in pool.posts(0)} == {"new"}
        assert all(pool.is_gone(post) for post in old)

    restarting(tmp_path, scenario)


def test_nothing_is_begun_twice_or_while_workers_are_stopped(tmp_path: Path) -> None:
    async def scenario(steps: Restart, pool: WorkerPool, board: Board, build: Build) -> None:
        with pytest.raises(ControlError, match="no build 'nowhere'"):
            steps.begin("nowhere", "ada")
        await pool.stop()
        with pytest.raises(ControlError, match="the workers are stopped"):
            steps.begin(None, "ada")
        pool.start()
        steps.begin(None, "ada")
        with pytest.raises(ControlError, match="is under way"):
            steps.begin(None, "ada")
        await steps.close()

    restarting(tmp_path, scenario)
