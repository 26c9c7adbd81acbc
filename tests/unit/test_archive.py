"""The archive holds what was booked, byte for byte; nothing leaves the spool that is not in it; damage has a place."""

import gzip
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aggregator.spool_keeper import SpoolKeeper
from bidder.events import archive
from bidder.events.archive import Damage, kept, pieces, rebuild, verify
from bidder.events.segments import HEADER, segments
from bidder.events.spool import Spool, SpoolReader
from bidder.events.targets import DirectoryTarget, Target, TargetError, target_of
from bidder.ops import log
from bidder.settings import Stream
from tests.aws_server import Aws
from tests.unit.test_spool import numbers, payload

BUCKETS = (f"archive-{n}" for n in itertools.count())


class Keeping:
    """A spool of small segments with its keeper; 40 notices, all but the last few in whole segments."""

    def __init__(self, directory: Path, target: Target | None) -> None:
        self.directory = directory
        self.spool = Spool(directory, segment_bytes=200)
        self.ends = [self.spool.append(payload(n)).result(5) for n in range(40)]
        self.booked: int | None = self.ends[-1]
        self.target = target
        self.keeper = SpoolKeeper(directory, target, 0.0, lambda: self.booked, log.get("test"))


@pytest.fixture(params=["directory", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "directory":
        made = target_of(Stream(archive=str(tmp_path / "archive")))
    else:
        aws: Aws = request.getfixturevalue("aws")
        bucket = next(BUCKETS)
        aws.client("s3").create_bucket(Bucket=bucket)
        where = Stream(archive=f"s3://{bucket}/money/spool", region="us-east-1", endpoint_url=aws.url)
        made = target_of(where)
    assert made is not None
    return made


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Target | None], Keeping]:
    return lambda target: Keeping(tmp_path / "spool", target)


def test_whole_booked_segments_are_archived_and_trimmed_and_come_back_the_same(
    make: Callable[[Target], Keeping], target: Target, tmp_path: Path
) -> None:
    keeping = make(target)
    before = {segment.start: archive.read_segment(segment) for segment in segments(keeping.directory)}
    keeping.keeper.step()
    left = segments(keeping.directory)
    assert [segment.start for segment in left] == [max(before)]
    assert kept(target, keeping.spool.id)[-1][1] == left[0].start
    found = list(verify(target, keeping.spool.id))
    assert all(isinstance(one, archive.Manifest) for one in found)
    assert sum(one.notices for one in found if isinstance(one, archive.Manifest)) + len(numbers_of(left[0])) == 40
    begin, end = rebuild(pieces(target, keeping.spool.id, keeping.directory), keeping.spool.id, tmp_path / "again")
    assert (begin, end) == (0, keeping.spool.durable)
    assert {segment.start: archive.read_segment(segment) for segment in segments(tmp_path / "again")} == before
    assert numbers(SpoolReader(tmp_path / "again")) == list(range(40))
    keeping.spool.close()
    Spool(tmp_path / "again").close()  # and can be written on


def numbers_of(segment: archive.Segment) -> list[bytes]:
    return [body for _, body in archive.records(archive.read_segment(segment))]


def test_what_is_not_booked_is_neither_archived_nor_trimmed(make: Callable[[Target], Keeping], tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "archive")
    keeping = make(target)
    keeping.booked = None
    keeping.keeper.step()
    assert kept(target, keeping.spool.id) == []
    keeping.booked = keeping.ends[10]
    keeping.keeper.step()
    done = kept(target, keeping.spool.id)
    assert 0 < done[-1][1] <= keeping.ends[10]
    assert segments(keeping.directory)[0].start == done[-1][1]
    keeping.spool.close()


def test_what_is_young_stays_and_what_was_archived_is_not_archived_again(
    make: Callable[[Target], Keeping], tmp_path: Path
) -> None:
    target = DirectoryTarget(tmp_path / "archive")
    keeping = make(target)
    young = SpoolKeeper(keeping.directory, target, 3_600.0, lambda: keeping.booked, log.get("test"))
    count = len(segments(keeping.directory))
    young.step()
    assert len(segments(keeping.directory)) == count
    assert young.health()["archived"] == count - 1
    again = SpoolKeeper(keeping.directory, target, 3_600.0, lambda: keeping.booked, log.get("test"))
    again.step()
    assert again.health()["archived"] == 0
    keeping.spool.close()


def test_without_an_archive_what_is_booked_and_old_goes(make: Callable[[None], Keeping]) -> None:
    keeping = make(None)
    keeping.keeper.step()
    assert len(segments(keeping.directory)) == 1
    keeping.spool.close()


def test_where_the_archive_cannot_be_written_nothing_is_trimmed_and_it_is_said_until_it_can(
    make: Callable[[Target], Keeping], aws: Aws
) -> None:
    bucket = next(BUCKETS)
    target = target_of(Stream(archive=f"s3://{bucket}", region="us-east-1", endpoint_url=aws.url))
    assert target is not None
    keeping = make(target)
    count = len(segments(keeping.directory))
    keeping.keeper.attempt()
    assert "NoSuchBucket" in keeping.keeper.health()["problem"]
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.faults("PUT", "ok", "ok", "500")
    keeping.keeper.attempt()
    assert "InternalFailure" in keeping.keeper.health()["problem"] or "500" in keeping.keeper.health()["problem"]
    assert len(segments(keeping.directory)) == count
    keeping.keeper.attempt()
    assert keeping.keeper.health()["problem"] is None
    assert len(segments(keeping.directory)) == 1
    assert not [one for one in verify(target, keeping.spool.id) if isinstance(one, Damage)]
    keeping.spool.close()


def test_a_directory_that_cannot_be_written_is_said_by_name(make: Callable[[Target], Keeping], tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file")
    keeping = make(DirectoryTarget(tmp_path / "archive"))
    keeping.keeper.attempt()
    assert str(tmp_path / "archive") in str(keeping.keeper.health()["problem"])
    assert len(segments(keeping.directory)) > 1
    keeping.spool.close()


def test_a_rotten_segment_is_not_archived(make: Callable[[Target], Keeping], tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "archive")
    keeping = make(target)
    rotten = segments(keeping.directory)[1]
    with rotten.path.open("rb+") as file:
        file.seek(HEADER.size + 1)
        file.write(b"\xff\xff\xff\xff")
    keeping.keeper.attempt()
    assert f"{rotten.path}: no sound record at byte 0" in str(keeping.keeper.health()["problem"])
    assert kept(target, keeping.spool.id) == [(0, rotten.start)]
    assert rotten.path.exists()
    keeping.spool.close()


def test_damage_and_holes_of_an_archive_are_found(make: Callable[[Target], Keeping], tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "archive")
    keeping = make(target)
    keeping.keeper.step()
    stream = keeping.spool.id
    keeping.spool.close()
    files = sorted((tmp_path / "archive" / stream).glob("*.gz"))
    manifests = sorted((tmp_path / "archive" / stream).glob("*.json"))
    data = gzip.decompress(files[1].read_bytes())
    files[1].write_bytes(gzip.compress(data[:-1] + bytes([data[-1] ^ 1])))
    said = json.loads(manifests[2].read_text())
    manifests[2].write_text(json.dumps(said | {"notices": said["notices"] + 1}))
    files[3].unlink()
    manifests[5].unlink()
    damages = [str(one) for one in verify(target, stream) if isinstance(one, Damage | TargetError)]
    assert len(damages) == 4
    for damage, words in zip(damages, ("not as it was", "not what its", "No such file", "are missing"), strict=True):
        assert words in damage
    with pytest.raises(Damage, match="not as it was written"):
        rebuild(pieces(target, stream, keeping.directory), stream, tmp_path / "again")


def test_an_archive_that_was_cut_off_in_the_middle_of_a_file_is_written_anew(
    make: Callable[[Target], Keeping], tmp_path: Path
) -> None:
    target = DirectoryTarget(tmp_path / "archive")
    keeping = make(target)
    first = segments(keeping.directory)[0]
    manifest = archive.keep(target, keeping.spool.id, first)
    (tmp_path / "archive" / f"{manifest.name}.json").unlink()
    (tmp_path / "archive" / f"{manifest.name}.seg.gz").write_bytes(b"half")
    keeping.keeper.step()
    assert not [one for one in verify(target, keeping.spool.id) if isinstance(one, Damage)]
    keeping.spool.close()
