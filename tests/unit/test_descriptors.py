"""A process's table of descriptors is as large as it can become before it is needed."""

import resource
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from bidder.ops import descriptors
before = sorted(Path("/proc/self/fd").iterdir())
room = descriptors.make_room()
(size,) = (int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("FDSize"))
print(room, size, len(before) == len(sorted(Path("/proc/self/fd").iterdir())))
"""


@pytest.mark.parametrize("limit", [600, 5_000])
def test_there_is_room_for_all_that_may_be_open_and_none_of_it_is_taken(limit: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < limit:
        pytest.skip(f"this machine lets nobody open {limit} files")
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(limit)], capture_output=True, text=True, check=True)
    room, size, as_before = done.stdout.split()
    assert int(room) == limit <= int(size)
    assert as_before == "True"
