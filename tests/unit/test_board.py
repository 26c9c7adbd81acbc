"""The board: switches one way, heartbeats the other."""

from pathlib import Path

import pytest

from bidder._fast.board import Board
from bidder._fast.mapping import MappingError


def test_worker_sees_switches_and_the_book_to_serve(tmp_path: Path) -> None:
    supervisor = Board(tmp_path / "shm" / "board")
    worker = Board(tmp_path / "shm" / "board")
    assert (worker.off, worker.exchange_off(5), worker.book_revision) == (False, False, 0)
    supervisor.off = True
    supervisor.set_exchange_off(5, True)
    supervisor.book_revision = 2**40
    assert (worker.off, worker.exchange_off(5), worker.exchange_off(4), worker.book_revision) == (
        True,
        True,
        False,
        2**40,
    )
    supervisor.off = False
    supervisor.set_exchange_off(5, False)
    assert (worker.off, worker.exchange_off(5)) == (False, False)
    assert worker.features_off == 0
    supervisor.features_off = 65
    assert worker.features_off == 65


def test_supervisor_sees_the_beats_of_workers_until_their_rows_are_released(tmp_path: Path) -> None:
    supervisor = Board(tmp_path / "board")
    worker = Board(tmp_path / "board")
    worker.claim(3, 4321)
    assert supervisor.rows() == [(3, 4321, False, 0, 0, 0, 0, 0)]
    worker.beat(3, 123_456, 9, 17, True, 5)
    assert supervisor.rows() == [(3, 4321, True, 9, 123_456, 17, 5, 0)]
    supervisor.release(3)
    assert worker.rows() == []


def test_claiming_a_row_anew_forgets_the_worker_before(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    board.claim(127, 1)
    board.beat(127, 1, 1, 1, True)
    board.claim(127, 2, 1)
    assert board.rows() == [(127, 2, False, 0, 0, 0, 0, 1)]


def test_what_is_said_of_an_arm_is_seen_and_what_is_not_said_stays(tmp_path: Path) -> None:
    supervisor, worker = Board(tmp_path / "board"), Board(tmp_path / "board")
    assert worker.arm(1) == worker.arm(2) == (0, 0, (), 0, False, 0, 0)
    supervisor.set_arm(1, begin=0, end=100, doors=[7, 64, 127], wait_us=20_000)
    supervisor.set_arm(2, begin=9_900, end=10_000)
    assert worker.arm(1) == (0, 100, (7, 64, 127), 20_000, False, 0, 0)
    supervisor.set_arm(1, end=500, exchange=2, country=77, shadow=True)
    assert worker.arm(1) == (0, 500, (7, 64, 127), 20_000, True, 2, 77)
    supervisor.set_arm(1, end=0, doors=())
    assert (worker.arm(1), worker.arm(2)) == ((0, 0, (), 20_000, True, 2, 77), (9_900, 10_000, (), 0, False, 0, 0))


@pytest.mark.parametrize("wrong", [{"begin": 2, "end": 1}, {"end": 10_001}, {"begin": -1}, {"wait_us": 0}])
def test_an_arm_that_cannot_be_is_refused_and_stays_as_it_was(tmp_path: Path, wrong: dict[str, int]) -> None:
    board = Board(tmp_path / "board")
    board.set_arm(1, end=100)
    with pytest.raises(ValueError, match="arm 1"):
        board.set_arm(1, **wrong)  # type: ignore[arg-type]
    assert board.arm(1).end == 100
    for arm in (0, 3):
        with pytest.raises(IndexError, match="canary"):
            board.set_arm(arm, end=1)


def test_rows_and_keys_outside_the_page_are_refused(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    for refused in (lambda: board.claim(128, 1), lambda: board.release(-1), lambda: board.set_exchange_off(256, True)):
        with pytest.raises(IndexError):
            refused()
    with pytest.raises(ValueError):
        board.claim(0, 0)


def test_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "board").write_bytes(b"x" * 8192)
    with pytest.raises(MappingError, match="remove it"):
        Board(tmp_path / "board")


def test_a_supervisor_that_starts_cold_replaces_a_board_of_an_older_layout_and_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "board"
    path.write_bytes(b"obboard2" + bytes(8192))
    with pytest.raises(MappingError):
        Board(path)
    Board(path, anew=True).off = True
    assert Board(path, anew=True).off
    path.write_bytes(b"obboard9" + bytes(8192))
    with pytest.raises(MappingError):
        Board(path, anew=True)
