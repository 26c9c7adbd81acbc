"""What a host does for its canary, where the code of a build is another one than was judged."""

from pathlib import Path

import pytest

from bidder import builds
from bidder._fast.board import Board
from bidder.arms import Arms
from bidder.builds import Build
from bidder.canary.conductor import Refused
from bidder.canary.fold import CANARY
from bidder.ops.audit import AuditTrail
from bidder.restart import Restart
from bidder.settings import load
from bidder.workers import WorkerPool
from tests.builds import linked
from tests.unit.test_workers import run


def test_a_build_that_was_added_anew_gets_neither_workers_nor_a_promotion(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "host").write_text("a1b2c3d4e5f6\n")
    judged = builds.add(state, "next", linked(tmp_path / "one"))
    other = builds.add(state, "next", linked(tmp_path / "two", outcome="x = 1\n"))
    assert judged.digest != other.digest

    async def scenario(pool: WorkerPool, board: Board, build: Build) -> None:
        restart = Restart(state, pool, AuditTrail(state), lambda build: None, None)
        pool.grow(0, build)
        arms = Arms(state, load(None, {}), pool, board, restart, None)
        why = f"build next was added anew: its digest is {other.digest}, not {judged.digest}"
        with pytest.raises(Refused, match=why):
            arms.grow(CANARY, "next", judged.digest, 1)
        with pytest.raises(Refused, match=why):
            arms.begin_promotion("next", judged.digest, "somebody")
        assert not pool.posts(CANARY)
        assert not restart.is_under_way

    run(tmp_path, scenario)
