"""Vitals: what a process says of itself each second, on a page that others read."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bidder.ops import vitals
from bidder.ops.vitals import EVERY_S, HEAD, PAGE, Vitals, open_files, read_all
from tests.conditions import wait_until

CHILD = """
import asyncio, sys
from pathlib import Path
from bidder.ops.vitals import Vitals
async def live():
    with Vitals(Path(sys.argv[1]), "tracker", lambda: {"durable": 7}, seat=3):
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(live())
"""


def test_a_process_is_seen_while_it_lives_and_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        [said] = read_all(tmp_path)
        assert (said["role"], said["pid"], said["seat"], said["facts"]) == ("tracker", child.pid, 3, {"durable": 7})
        assert said["rss_bytes"] > 1 << 20
        assert 3 <= said["fds"] <= said["fd_limit"]
        assert set(said["log"]) == {"written", "dropped", "suppressed", "waiting"}
        first = said["at"]
        wait_until(lambda: read_all(tmp_path)[0]["at"] > first, 10 * EVERY_S, "the next second")
        child.send_signal(signal.SIGSTOP)
        assert len(read_all(tmp_path)) == 1  # a process that stands still is there; its `at` grows old
        child.send_signal(signal.SIGKILL)
    assert read_all(tmp_path) == []
    assert list((tmp_path / "run").iterdir()) == []


def test_a_loop_that_was_blocked_and_a_collection_show_in_the_next_second(tmp_path: Path) -> None:
    async def live() -> None:
        with Vitals(tmp_path, "worker") as own:
            await asyncio.sleep(0)
            own.now()
            time.sleep(0.3)
            gc.collect()
            await asyncio.sleep(0.05)
            said = own.now()
            assert said["lag_max_s"] >= 0.09
            assert said["gc_collections"] >= 1
            assert 0 < said["gc_max_s"] <= said["gc_s"]
            assert own.now()["gc_max_s"] == 0
        assert not any(isinstance(callback, vitals.Pauses) for callback in gc.callbacks)

    asyncio.run(live())


def test_a_page_that_is_being_written_is_read_again(tmp_path: Path) -> None:
    async def live() -> None:
        with Vitals(tmp_path, "worker"):
            path = tmp_path / "run" / f"worker.{os.getpid()}.vitals"
            whole = path.read_bytes()
            assert len(whole) == PAGE
            torn = bytearray(whole)
            torn[HEAD.size + 5] ^= 1
            path.write_bytes(torn)
            assert read_all(tmp_path) == []
            path.write_bytes(whole)
            assert json.dumps(read_all(tmp_path)[0])

    asyncio.run(live())


def test_what_grows_past_the_page_and_a_fact_that_fails_cost_a_second_and_no_process(tmp_path: Path) -> None:
    wrong: list[object] = []

    def facts() -> dict[str, object]:
        if wrong:
            raise wrong[0]  # type: ignore[misc]
        return {"long": "x" * PAGE} if big else {"n": 1}

    big = False

    async def live() -> None:
        nonlocal big
        with Vitals(tmp_path, "worker", facts) as own:
            big = True
            own.publish()
            assert read_all(tmp_path)[0]["facts"] == {"n": 1}
            big = False
            wrong.append(ValueError())
            loop = asyncio.get_running_loop()
            own.due = 0.0
            own.look(loop, loop.time())
            assert read_all(tmp_path)[0]["facts"] == {"n": 1}

    asyncio.run(live())


def test_descriptors_are_counted(tmp_path: Path) -> None:
    before = open_files()
    with (tmp_path / "x").open("w"):
        assert open_files() == before + 1
