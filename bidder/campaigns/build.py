"""The book builder: a process of its own, so that the supervisor neither stalls nor grows while a book is made.

    job -> manifest -> shards -> parts, one a shard, on all cores -> book-<generation>.bin -> checked, published
    python -m bidder.campaigns.build FD JOB: one line of JSON (Built) on FD, then the keys of what runs, u32 each

A shard keeps its part until it changes, so an edit among a million campaigns costs the part of one shard and a
merge. Parts of another run of the supervisor are not used: its build may have made them otherwise.
Niced: the workers of the host bid on meanwhile.
"""

import contextlib
import gc
import hashlib
import mmap
import multiprocessing
import os
import shutil
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bidder._fast.book import Book, BookError
from bidder._fast.purses import Purses
from bidder.campaigns import snapshot
from bidder.campaigns.compile import BookSummary, compile_part, merge_parts
from bidder.campaigns.fetch import Fetcher, FetchError, Override, apply_overrides
from bidder.campaigns.publish import unpack_shard
from bidder.openrtb import markup
from bidder.ops.priority import go_last

NICE = 5
TOGETHER = 8  # shards for which other processes are worth their start


class Job(msgspec.Struct, frozen=True):
    """One book to build."""

    state: str
    controller: str  # URL
    memcached: list[tuple[str, int]]
    public_url: str
    exchanges: dict[str, int]  # of this host's settings, for overrides
    manifest: str  # key
    generation: int
    fresh: bool  # first of this run of the supervisor


class Built(msgspec.Struct, frozen=True):
    """What became of it. `error`: nothing; the book that is there serves on."""

    error: str = ""
    summary: str = ""
    left_out: int = 0
    overrides: list[tuple[str, str, str]] = []  # path, campaign, error
    campaigns: int = 0  # keys that follow


def part_of(
    shard: Path, *, parts: Path, exchanges: Mapping[str, int], public_url: str, bodies: Mapping[str, dict[str, Any]]
) -> tuple[Path, list[str]]:
    """The part of a shard, compiled where it is not there yet; and the overrides that are in it."""
    facts = msgspec.msgpack.encode((sorted(exchanges.items()), public_url, markup.VERSION))
    path = parts / f"{shard.name}-{hashlib.blake2b(facts, digest_size=8).hexdigest()}.part"
    records = None
    if bodies:
        # Rare and few: only shards whose bytes hold the id are made anew, and not kept.
        records, done = apply_overrides(unpack_shard(shard.read_bytes()), bodies)
        if done:
            path = parts / f"{shard.name}-override.part"
            path.unlink(missing_ok=True)
    else:
        done = []
    if not path.exists():
        records = unpack_shard(shard.read_bytes()) if records is None else records
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(compile_part(records, exchanges, public_url))
        draft.rename(path)
    return path, done


def _alone() -> None:
    """In a process of the pool: nothing made here has cycles, and collecting looks at all that there is."""
    gc.disable()


def _each(make: Callable[[Path], tuple[Path, list[str]]], shards: Sequence[Path]) -> list[tuple[Path, list[str]]]:
    """On all cores where that is worth it; in the order of the shards."""
    cores = len(os.sched_getaffinity(0))
    if len(shards) < TOGETHER or cores == 1:
        return [make(shard) for shard in shards]
    # daemonic, and they end when we close their pipe: no child outlives a builder that was killed for long
    with multiprocessing.get_context("fork").Pool(cores, _alone) as pool:
        return list(pool.imap(make, shards))


@contextlib.contextmanager
def _mapped(paths: Sequence[Path]) -> Iterator[list[memoryview]]:
    with contextlib.ExitStack() as stack:
        views = []
        for path in paths:
            with path.open("rb") as file:
                whole = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            views.append(stack.enter_context(memoryview(whole)))
        yield views


def build(job: Job) -> tuple[BookSummary, list[Override]]:
    """The whole of it; FetchError, ValueError (BookError too) or OSError where there is no new book."""
    state = Path(job.state)
    parts = state / "book" / "parts"
    if job.fresh:
        shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True, exist_ok=True)
    fetcher = Fetcher(state, job.controller, job.memcached)
    manifest = fetcher.manifest(job.manifest)
    shards = fetcher.shards(manifest)
    found = fetcher.overrides(job.exchanges)
    bodies = {str(body["id"]): body for body in found.values() if not isinstance(body, Override)}
    make = partial(part_of, parts=parts, exchanges=manifest.exchanges, public_url=job.public_url, bodies=bodies)
    made = _each(make, shards)
    kept = {path for path, _ in made}
    for path in parts.iterdir():
        if path not in kept:
            path.unlink(missing_ok=True)
    purses = Purses(state / "shm" / "purses")
    with _mapped([path for path, _ in made]) as views:
        summary = merge_parts(
            views,
            revision=job.generation,
            exchanges=manifest.exchanges,
            rates=manifest.rates,
            arms=manifest.arms,
            purse_of=purses.slot_of,
            path=snapshot.path_of(state, job.generation),
        )
    snapshot.publish(state, job.generation)
    applied = {campaign for _, done in made for campaign in done}
    return summary, [_override(path, body, applied) for path, body in found.items()]


def _override(path: Path, body: dict[str, Any] | Override, applied: set[str]) -> Override:
    if isinstance(body, Override):
        return body
    campaign = str(body["id"])
    missing = "" if campaign in applied else "no campaign of this id is published; import it first"
    return Override(path, campaign, missing)


def running(book: Book) -> "array[int]":
    """Keys of the campaigns of a book."""
    return array("I", book.purse_slots())


def main(arguments: Sequence[str]) -> int:
    """`python -m bidder.campaigns.build FD JOB`."""
    go_last(NICE)
    gc.disable()
    job = msgspec.json.decode(arguments[1], type=Job)
    keys = array("I")
    try:
        summary, overrides = build(job)
        book = snapshot.current(Path(job.state))
        if book is not None:
            keys = running(book)
        built = Built(
            summary=str(summary)[:2000],
            left_out=len(summary.left_out),
            overrides=[(str(one.path), one.campaign, one.error) for one in overrides],
            campaigns=len(keys),
        )
    except (FetchError, BookError, ValueError, OSError) as error:
        built, keys = Built(error=str(error) or type(error).__name__), array("I")
    with open(int(arguments[0]), "wb") as out:  # noqa: PTH123 - a descriptor, not a path
        out.write(msgspec.json.encode(built) + b"\n")
        out.write(keys)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
