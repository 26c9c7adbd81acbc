"""Killed processes and a full disk: nothing acknowledged is lost, nothing refused is read."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bidder.events.spool import Spool
from tests.trackers import read_all

PRELUDE = """
import os, resource, sys
from pathlib import Path
import msgspec
from bidder.events.schema import Notice
from bidder.events.spool import Spool, SpoolError

def payload(n):
    return msgspec.msgpack.encode(Notice(1, 0, n.to_bytes(12, "big"), n, *([0] * 16)))

spool = Spool(Path(sys.argv[1]), segment_bytes=20_000)
"""

WRITER = (
    PRELUDE
    + """
n = int(sys.argv[2])
while True:
    futures = [spool.append(payload(n + i)) for i in range(20)]
    for future in futures:
        future.result()
        os.write(1, b"%d\\n" % n)
        n += 1
"""
)

FULL = (
    PRELUDE
    + """
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
n = acknowledged = 0
try:
    while True:
        spool.append(payload(n)).result(10)
        n += 1
except SpoolError as error:
    assert "File too large" in str(error), error
assert not spool.healthy
assert spool.durable == spool.position < 5_000
assert sum(path.stat().st_size for path in Path(sys.argv[1]).glob("*.seg")) == spool.durable
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
spool.append(payload(n)).result(10)
assert spool.healthy
spool.close()
print(n)
"""
)


@pytest.mark.faults
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    following = 0
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(following)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(600)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
        writer.wait(10)
        writer.stdout.close()
        acknowledged = [int(line) for line in said if line.endswith(b"\n")]
        assert acknowledged == list(range(following, following + len(acknowledged)))
        Spool(tmp_path).close()  # the restart
        found = [notice.received_ms for notice in read_all(tmp_path)]
        assert found == list(range(len(found)))
        assert len(found) > acknowledged[-1]
        following = len(found)


@pytest.mark.faults
def test_a_full_disk_refuses_and_cuts_back_and_heals_when_there_is_room(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout) + 1
    assert count > 20
    assert [notice.received_ms for notice in read_all(tmp_path)] == list(range(count))
