"""Readiness: can this build serve this host? Asked of a process of its own before the build gets a request.

    its own book, compiled and bid from in a scratch directory; the host's book, keys and shared memory, opened
    -> {"ok": true, "build", "digest", "formats"} or {"ok": false, ..., "error"}

Nothing of the host is changed: its maps are private copies, what is taken from purses and counted there is seen by
nobody.
"""

import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.clock import Clock
from bidder._fast.counters import CounterFile
from bidder._fast.decision import Decider
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder._fast.shading import Shading
from bidder.builds import running
from bidder.campaigns import snapshot
from bidder.campaigns.compile import compile_book
from bidder.campaigns.model import normalise, read_lines
from bidder.campaigns.record import CampaignRecord
from bidder.money.keyfile import FILE
from bidder.money.tokens import BidIds, Key, Opener, Sealer, TokenClass, load_keys
from bidder.openrtb.rows import ExchangeRow, exchange_rows
from bidder.settings import Exchange, Settings
from bidder.users.tables import caps_table

SHARED = ("board", "purses", "frequency", "segments", "shading", "counters")  # files in <state>/shm
ALL_THE_MONEY = 2**61  # nano-USD
EXCHANGES = {"readiness": Exchange(key=1)}
URL = "https://outbid.example"
CAMPAIGN = {
    "id": "readiness",
    "advertiser": "outbid",
    "bid": {"cpm_usd": "1"},
    "creatives": [
        {
            "id": "readiness",
            "w": 300,
            "h": 250,
            "adm": '<a href="{click_url}">ready</a>{pixel}',
            "landing_url": "https://outbid.example/",
            "adomain": ["outbid.example"],
        }
    ],
}
REQUEST = {
    "id": "readiness",
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "secure": 1}],
    "site": {"domain": "outbid.example"},
    "tmax": 1000,
}


class NotReadyError(Exception):
    """This build cannot serve; the message says what it could not do."""


def check(state: Path, settings: Settings) -> dict[str, Any]:
    """What there is to say, as JSON has it."""
    build = running()
    said: dict[str, Any] = {"ok": False, "build": build.name, "digest": build.digest}
    try:
        with tempfile.TemporaryDirectory(prefix="outbid-check-") as scratch:
            said["formats"] = _bid_from_scratch(Path(scratch))
            said["book_revision"] = _look_at(state, settings, Path(scratch))
    except Exception as error:  # whatever it is, this build is not started
        return said | {"error": f"{type(error).__name__}: {error}"}
    return said | {"ok": True}


def _decider(scratch: Path, rows: list[ExchangeRow], **parts: Any) -> Decider:
    counters = CounterFile(scratch / "counters").open_worker(0)
    seed = int.from_bytes(os.urandom(8), "big")
    return Decider(counters=counters, bid_ids=BidIds(), clock=Clock(), rows=rows, seed=seed, **parts)


def _bid_from_scratch(scratch: Path) -> dict[str, str]:
    """Everything from its beginning: a campaign becomes a book, the book a bid, its token is opened.

    Returns the formats of the files that this build makes.
    """
    (campaign,) = read_lines(json.dumps(CAMPAIGN), EXCHANGES)
    record = CampaignRecord(1, 1, {"readiness": 1}, {}, {}, active=True, body=normalise(campaign))
    purses = Purses(scratch / "purses", 1)
    purses.shading = Shading(scratch / "shading", make=True)
    slot = purses.slot_of(record.key)
    purses.grant(slot, 0, 1, ALL_THE_MONEY)
    purses.open_half(slot, 0)
    key = Key(0, os.urandom(32))
    decider = _decider(
        scratch,
        exchange_rows(EXCHANGES, URL),
        purses=purses,
        frequency=FrequencyTable(scratch / "frequency", 1_024, now_s=int(time.time())),
        segments=SegmentTable(scratch / "segments", 1_024),
        board=Board(scratch / "board"),
        sealer=Sealer((key,)),
    )
    exchanges = {name: row.key for name, row in EXCHANGES.items()}
    compile_book(
        [record], revision=1, exchanges=exchanges, public_url=URL, purse_of=purses.slot_of, path=scratch / "book"
    )
    decider.set_book(Book.open(scratch / "book"))
    status, answer = decider.answer(b"readiness", json.dumps(REQUEST).encode())
    if status != 200:
        raise NotReadyError(f"a campaign of its own got no bid, but status {status}")
    (bid,) = json.loads(answer)["seatbid"][0]["bid"]
    opener = Opener((key,))
    if not any(opener.open(word, TokenClass.PAGE) for word in re.findall(r"[\w-]{40,}", bid["adm"])):
        raise NotReadyError("no token of its own bid could be opened")
    return {name: _format(scratch / name) for name in (*SHARED, "book")}


def _format(path: Path) -> str:
    """The mark that a file begins with; of a book also its version."""
    with path.open("rb") as file:
        head = file.read(16)
    return head[:8].decode() + (f" {int.from_bytes(head[12:], 'little')}" if path.name == "book" else "")


def _look_at(state: Path, settings: Settings, scratch: Path) -> int | None:
    """The host as a worker would open it, where there is one; the revision of its book.

    Where a host is, a test request is answered from it: nobody hears of it.
    """
    rows = exchange_rows(
        settings.exchanges, settings.tracking.public_url, state=state, wait_budget_ms=settings.bidder.wait_budget_ms
    )
    shared = state / "shm"
    if not (shared / "board").exists():
        return None  # nothing has run here yet
    for name in SHARED:
        with (shared / name).open("rb") as file:
            found, own = file.read(8), _format(scratch / name).encode()
        if found != own:
            raise NotReadyError(f"{shared / name}: begins with {found!r}, this build wants {own!r}")
    purses = Purses(shared / "purses", private=True)
    purses.shading = Shading(shared / "shading", private=True)
    decider = _decider(
        scratch,
        rows,
        purses=purses,
        frequency=caps_table(state, settings, private=True),
        segments=SegmentTable(shared / "segments"),
        board=Board(shared / "board", private=True),
        sealer=Sealer(load_keys(state / FILE)),
        consent=settings.consent,
    )
    book = snapshot.current(state)
    if book is not None:
        decider.set_book(book)
    exchange = next((name for name, row in settings.exchanges.items() if row.enabled), None)
    if exchange is not None:
        status, _ = decider.answer(exchange.encode(), json.dumps(REQUEST | {"test": 1}).encode())
        if status not in (200, 204):
            raise NotReadyError(f"a test request of {exchange} got status {status}")
    return None if book is None else book.revision
