"""What systemd is told, through a real socket; and whether systemd can read our units."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder._fast.board import Board
from bidder.builds import Build
from bidder.ops.notify import notify, reloading
from bidder.ops.seat import Seat
from bidder.service import FRESH_MS, Service
from bidder.workers import WorkerPool
from tests.builds import CHECKOUT


class Manager:
    """systemd's end."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[list[str]]:
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode().splitlines())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield manager
    manager.close()


def test_lines_arrive_as_one_datagram(manager: Manager) -> None:
    assert notify("READY=1", "STATUS=2 workers serve")
    assert manager.heard() == [["READY=1", "STATUS=2 workers serve"]]


def test_an_abstract_address_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(f"\0{tmp_path}/abstract")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{tmp_path}/abstract")
    assert notify("READY=1")
    assert manager.heard() == [["READY=1"]]
    manager.close()


def test_nobody_is_told_where_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("READY=1")


def test_a_supervisor_is_ready_when_its_workers_serve_and_lives_while_they_do(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Seat, "pid", 42)
    board, busy = Board(tmp_path / "board"), False
    pool = WorkerPool(tmp_path, board, 0)
    service = Service(pool, lambda: busy)
    service.tell(0)
    (post,) = pool.grow(0, Build("x", tmp_path, tmp_path, ""))
    service.tell(0)
    assert manager.heard() == [], "no worker has said anything yet"
    board.claim(post.row, 42)
    board.beat(post.row, 1_000, 0, 0, ready=False)
    service.tell(1_000)
    assert [lines[0] for lines in manager.heard()] == ["READY=1", "WATCHDOG=1"]
    service.tell(1_000 + FRESH_MS)
    assert manager.heard() == [["WATCHDOG=1"]]
    service.tell(1_001 + FRESH_MS)
    assert manager.heard() == [], "it stands still"
    busy = reloading()
    board.beat(post.row, 20_000, 0, 0, ready=True)
    service.tell(20_000)
    busy = False
    service.tell(20_000)
    lines = manager.heard()
    assert lines[0][0] == "RELOADING=1"
    assert lines[0][1].startswith("MONOTONIC_USEC=")
    assert [line[0] for line in lines[1:]] == ["WATCHDOG=1", "READY=1", "WATCHDOG=1"]


def test_systemd_can_read_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: the units of deploy/systemd are not verified")
    units = []
    for unit in sorted((CHECKOUT / "deploy" / "systemd").iterdir()):
        text = unit.read_text().replace("/opt/outbid/.venv/bin/outbid", "/bin/true")  # it must be there
        units.append(tmp_path / unit.name)
        units[-1].write_text(text)
    argv = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "outbid" in line]
    assert (done.returncode, ours) == (0, [])
