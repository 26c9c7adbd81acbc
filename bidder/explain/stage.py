"""Where a request is explained: a host's book, purses, caps and switches as they are, or the campaigns of a file.

Everything is opened to look at only: what the decision takes and counts here is seen by nobody else. Its counters lie
in a file that is gone before it begins, its tokens are sealed with a key that is never kept.
"""

import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.clock import Clock
from bidder._fast.counters import CounterFile
from bidder._fast.explain import Explainer
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder._fast.shading import Shading
from bidder.campaigns import snapshot
from bidder.campaigns.compile import compile_book
from bidder.campaigns.model import Campaign
from bidder.campaigns.record import CampaignRecord
from bidder.money.tokens import BidIds, Key, Sealer
from bidder.openrtb.rows import exchange_rows
from bidder.settings import Exchange, Settings
from bidder.users.tables import caps_table

NEVER_SPENT = 2**61  # nano-USD: what campaigns of a file may spend
SLOTS_OF_CAPS = 4_096


@dataclass(frozen=True, slots=True)
class Stage:
    """`exchanges`: key -> name. `not_running`: campaigns of the file that the book leaves out, and why."""

    explainer: Explainer
    revision: int
    campaigns: int
    exchanges: Mapping[int, str]
    off: bool  # the switch of everything
    secure_notices: bool
    slots: int
    not_running: Mapping[str, str]

    def slot_of(self, campaign: str) -> int | None:
        """The first slot that tells of this campaign; None: it does not run."""
        for slot in range(self.slots):
            if self.explainer.campaign_id(slot) == campaign and not self.explainer.is_further(slot):
                return slot
        return None


def _unguarded(exchanges: Mapping[str, Exchange]) -> dict[str, Exchange]:
    """Whoever may ask for an explanation need not show the exchange's secret, nor come from its address."""
    return {
        name: replace(row, secret_file="", secret_header="", allow=(), rate_per_s=0) for name, row in exchanges.items()
    }


def of_host(state: Path, settings: Settings, *, clock: Clock | None = None, seed: int | None = None) -> Stage:
    """The host in this state directory, running or not. BookError, MappingError: it has nothing to look at."""
    book = snapshot.current(state)
    shared = state / "shm"
    purses = Purses(shared / "purses", private=True)
    if (shared / "shading").exists():
        purses.shading = Shading(shared / "shading", private=True)
    return look_at(
        settings,
        book,
        purses,
        caps_table(state, settings, private=True),
        Board(shared / "board", private=True),
        segments=SegmentTable(shared / "segments") if (shared / "segments").exists() else None,
        clock=clock,
        seed=seed,
    )


def of_campaigns(
    campaigns: Collection[Campaign], settings: Settings, *, clock: Clock | None = None, seed: int | None = None
) -> Stage:
    """These campaigns, each with all the money in the world, nobody's caps used up, every switch on."""
    with tempfile.TemporaryDirectory(prefix="outbid-explain-") as scratch:
        directory = Path(scratch)
        purses = Purses(directory / "purses", max(1, len(campaigns)))
        records = _records(campaigns)
        for record in records:
            slot = purses.slot_of(record.key)
            purses.grant(slot, 0, record.key, NEVER_SPENT)
            purses.open_half(slot, 0)
        FrequencyTable(directory / "frequency", SLOTS_OF_CAPS)
        summary = compile_book(
            records,
            revision=0,
            exchanges={name: exchange.key for name, exchange in settings.exchanges.items()},
            public_url=settings.tracking.public_url,
            purse_of=purses.slot_of,
            path=directory / "book.bin",
        )
        left_out = {record.body["id"]: f"status: {record.body['status']}" for record in records if not record.active}
        for fault in summary.left_out:
            left_out[fault.removeprefix("campaign ").partition(":")[0]] = fault
        return look_at(
            settings,
            Book.open(directory / "book.bin"),
            Purses(directory / "purses", private=True),
            FrequencyTable(directory / "frequency", private=True),
            Board(directory / "board"),
            clock=clock,
            seed=seed,
            not_running=left_out,
        )


def look_at(
    settings: Settings,
    book: Book | None,
    purses: Purses,
    frequency: FrequencyTable,
    board: Board,
    *,
    segments: SegmentTable | None = None,
    clock: Clock | None = None,
    seed: int | None = None,
    not_running: Mapping[str, str] | None = None,
) -> Stage:
    """`purses` and `frequency` must be private. `seed`: of throttles, ties and creatives, as of a Decider."""
    with tempfile.TemporaryDirectory(prefix="outbid-explain-") as scratch:
        explainer = Explainer(
            purses=purses,
            frequency=frequency,
            board=board,
            counters=CounterFile(Path(scratch) / "counters").open_worker(0),
            sealer=Sealer((Key(0, os.urandom(32)),)),
            bid_ids=BidIds(),
            clock=Clock() if clock is None else clock,
            rows=exchange_rows(_unguarded(settings.exchanges), settings.tracking.public_url),
            seed=int.from_bytes(os.urandom(8), "big") if seed is None else seed,
            consent=settings.consent,
            segments=segments,
        )
    if book is not None:
        explainer.set_book(book)
    return Stage(
        explainer=explainer,
        revision=0 if book is None else book.revision,
        campaigns=0 if book is None else book.campaign_count,
        exchanges={exchange.key: name for name, exchange in settings.exchanges.items()},
        off=board.off,
        secure_notices=settings.tracking.public_url.startswith("https:"),
        slots=0 if book is None else book.slot_count,
        not_running=not_running or {},
    )


def _records(campaigns: Collection[Campaign]) -> list[CampaignRecord]:
    """Numbered as they stand in the file."""
    records: list[CampaignRecord] = []
    creatives = 0
    for key, campaign in enumerate(campaigns, 1):
        body = campaign.body
        records.append(
            CampaignRecord(
                key=key,
                advertiser=1,
                creatives={one["id"]: creatives + n for n, one in enumerate(body["creatives"], 1)},
                deals={},
                inventory={},
                active=body["status"] == "active",
                body=body,
            )
        )
        creatives += len(body["creatives"])
    return records
