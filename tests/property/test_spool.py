"""Whatever crash comes in between: all that was acknowledged is read, once and in order, and nothing else."""

import os
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.events.schema import Notice
from bidder.events.segments import DURABLE, segments
from bidder.events.spool import Spool, SpoolReader

ENCODE = msgspec.msgpack.Encoder().encode


def notice(n: int) -> bytes:
    return ENCODE(Notice(1, 0, n.to_bytes(12, "big"), n, *([0] * 16)))


def read_all(directory: Path, step: int) -> list[int]:
    reader = SpoolReader(directory)
    found, position = [], 0
    while True:
        notices, position = reader.read(position, step)
        if not notices:
            return found
        found += [one.received_ms for _, one in notices]


@st.composite
def crashes(draw: st.DrawFn) -> tuple[int, float, bytes, float]:
    """Notices before it, how many of them never synced, garbage behind, how old the durable mark has become."""
    return (
        draw(st.integers(0, 12)),
        draw(st.floats(0, 1)),
        draw(st.binary(max_size=40)),
        draw(st.floats(0, 1)),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(crashes(), min_size=1, max_size=4), st.integers(60, 400), st.integers(1, 500))
def test_a_spool_that_crashed_holds_a_prefix_with_all_that_was_acknowledged(
    lives: list[tuple[int, float, bytes, float]], segment_bytes: int, step: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        expected: list[int] = []
        sent = 0
        for count, unsynced, garbage, age in lives:
            spool = Spool(directory, segment_bytes, sync=lambda descriptor: None)
            start = spool.durable
            ends = []
            for _ in range(count):
                ends.append(spool.append(notice(sent)).result(5))
                expected.append(sent)
                sent += 1
            spool.close()
            # The crash: the last segment loses what was behind some point, and gets garbage there instead.
            found = segments(directory)
            if found:
                last = found[-1]
                cut = max(last.start, start) + int((last.end - max(last.start, start)) * (1 - unsynced))
                os.truncate(last.path, cut - last.start)
                with last.path.open("ab") as file:
                    file.write(garbage)
                acknowledged = max((end for end in [start, *ends] if end <= cut), default=start)
                expected = expected[: len(expected) - sum(end > cut for end in ends)]
                (directory / "durable").write_bytes(DURABLE.pack(int(acknowledged * age)))
        spool = Spool(directory, segment_bytes, sync=lambda descriptor: None)
        assert read_all(directory, step) == expected
        spool.close()
