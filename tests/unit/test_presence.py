"""Presence: a process is listed exactly as long as it lives, however it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from bidder import builds
from bidder.ops.presence import Presence, present
from tests.conditions import wait_until

CHILD = """
import os, sys
from pathlib import Path
from bidder.ops.presence import Presence
presence = Presence(Path(sys.argv[1]), "worker", "127.0.0.1:1", n=1)
if "fork" in sys.argv and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("ready", flush=True)
for line in sys.stdin:
    presence.update(n=int(line))
    print("done", flush=True)
presence.close()
"""


def start(state: Path, *options: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(state), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.communicate(timeout=10)


def test_a_process_says_who_it_is_and_is_gone_after_its_clean_end(tmp_path: Path) -> None:
    with Presence(tmp_path, "tracker", "127.0.0.1:8001", stream="ab") as presence:
        [said] = present(tmp_path)
        assert said.pop("started") > 1_600_000_000
        assert said.pop("build")
        assert said.pop("digest") == builds.running().digest
        assert said == {"role": "tracker", "pid": os.getpid(), "address": "127.0.0.1:8001", "stream": "ab"}
        presence.update(stream="cd", healthy=True)
        assert [(said["stream"], said["healthy"]) for said in present(tmp_path)] == [("cd", True)]
    assert present(tmp_path) == []
    assert list((tmp_path / "run").iterdir()) == []


def test_nobody_is_present_where_nothing_ever_ran(tmp_path: Path) -> None:
    assert present(tmp_path) == []


def test_another_process_is_seen_while_it_changes_what_it_says(tmp_path: Path) -> None:
    child = start(tmp_path)
    assert child.stdin is not None
    assert child.stdout is not None
    for n in range(50):
        child.stdin.write(f"{n}\n")
        child.stdin.flush()
        seen = 0
        while True:
            [said] = present(tmp_path)
            seen += 1
            if said["n"] == n:
                break
        assert child.stdout.readline() == "done\n"
    end(child)
    assert present(tmp_path) == []


def test_a_killed_process_is_dropped_and_its_file_removed(tmp_path: Path) -> None:
    child = start(tmp_path)
    child.send_signal(signal.SIGKILL)
    end(child)
    assert len(list((tmp_path / "run").iterdir())) == 1
    assert present(tmp_path) == []
    assert list((tmp_path / "run").iterdir()) == []


def test_a_forked_child_does_not_keep_its_dead_parent_present(tmp_path: Path) -> None:
    child = start(tmp_path, "fork")
    assert [said["pid"] for said in present(tmp_path)] == [child.pid]
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    wait_until(lambda: present(tmp_path) == [], what="the forked child, which may not have run yet, to let go")
    end(child)  # its own child ends with the pipe


def test_the_file_of_a_dead_process_with_our_pid_is_taken_over(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / f"tracker.{os.getpid()}.json").write_text(json.dumps({"role": "tracker", "pid": os.getpid(), "old": True}))
    with Presence(tmp_path, "tracker"):
        [said] = present(tmp_path)
        assert "old" not in said
