"""`python -m tests.samples [DIR]`: writes each sample with the code that there is."""

import gzip
import sys
import tempfile
from pathlib import Path

import msgspec

from bidder._fast.board import Board
from bidder._fast.counters import CounterFile
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder._fast.shading import Shading, key_of
from bidder.builds import Build
from bidder.campaigns.compile import compile_book
from bidder.events.outbox import KEY, Outbox
from bidder.events.schema import BookAnnouncement, Deltas, Kind, Notice, NoticeKind, Resend, Row
from bidder.events.spool import Spool
from bidder.handover import Handover
from bidder.money.tokens import Key, Sealer, Token, TokenClass, seal
from bidder.money.wire import Lease, LeaseState, LeaseSync, Shades
from bidder.ops.audit import AuditRecord
from bidder.ops.switches import Flip
from bidder.restart import Record
from tests.books import EXCHANGES, PUBLIC_URL, campaign, records

HERE = Path(__file__).resolve().parent
BOOT = bytes(range(16))
SECRET = bytes(range(32))
NOW_S = 1_800_000_000
HEAD = 65_536  # bytes that are kept of a file that is mostly empty

ROW = Row(Kind.BID, 1, 0, 0, 1, 2, 3, 300, 250, 4, 5, 6, 7, 30_000_000, 8, 9_000)
DELTAS = Deltas("a1b2c3d4e5f6/bidder", 77, 5, 1_800_000_000_123, [ROW])
NOTICE = Notice(
    NoticeKind.BILL, 0, b"\1\xc9\xc3\x80" + bytes(8), 1_800_000_000_123, 1_500_000, 0, 1, 0, 1, 2, 3, 300, 250, 4, 5, 6,
    7, 8, 2_000_000, 2_000_000,
)  # fmt: skip
TOKEN = Token(b"\1\xc9\xc3\x80" + bytes(8), exchange=1, format=1, w=300, h=250, campaign=4, creative=5, lease=8,
              bid_price=2_000_000, taken=2_000_000)  # fmt: skip
LEASE = Lease(8, 4, 10**9, 0.0, 3600.0, 5400.0, 3600.0, even=True, spent=0, closed=[(30_000_000, 5)])
MESSAGES: dict[str, msgspec.Struct] = {
    "deltas": DELTAS,
    "notice": NOTICE,
    "announcement": BookAnnouncement(3, "outbid:m:3"),
    "resend": Resend(b"again", "a1b2c3d4e5f6/bidder", 77, 2, 4),
    "lease-sync": LeaseSync("a1b2c3d4e5f6", True, 3, [], [(8, 5)], "17", [(8, 10**9, 5)], "v1"),
    "lease-state": LeaseState([LEASE], False, 3, [(7, 4)], seen="18", shades=Shades("v2", [(1, bytes(128))])),
}
DOCUMENTS: dict[str, msgspec.Struct] = {
    "audit": AuditRecord("a1b2c3d4e5f6", 1, 1_800_000_000_123, 42, "ada", "switch", "everything", {"off": True}),
    "switch": Flip("campaign", True, "c-1", 1_800_000_000_123, "ada@desk", "a1b2c3d4e5f6"),
    "restart": Record(2, "next", "ada", ["checking it in a process of its own"], done=False),
    "handover": Handover(
        listening=3,
        control=4,
        presence=5,
        previous=Build("0.1.0", Path("/opt/outbid"), Path("/opt/outbid/.venv/bin/python"), "ab" * 16).as_dict(),
        argv=["--state", "/var/lib/outbid"],
        posts=[{"row": 0, "arm": 0, "build": {"name": "next"}, "pid": 42, "leaves": False}],
        deaths={0: 1},
        restart={"number": 2},
    ),
}


def _shared(place: Path) -> None:
    """The files that processes of a host map."""
    board = Board(place / "board")
    board.book_revision = 3 << 20
    board.set_exchange_off(2, True)
    board.claim(1, 42)
    board.beat(1, 1_000, 3 << 20, 6, ready=True)
    purses = Purses(place / "purses", 4, boot=BOOT)
    slot = purses.slot_of(4)
    purses.grant(slot, 0, 8, 10**9)
    purses.open_half(slot, 0)
    frequency = FrequencyTable(place / "frequency", 1_024, now_s=NOW_S, boot=BOOT, keys=lambda period: bytes(64))
    frequency.count(99, NOW_S, 3_600, 5)
    SegmentTable(place / "segments", 1_024).put(99, {"shoes": NOW_S + 60}, NOW_S)
    Shading(place / "shading", make=True).put(key_of(1, 1, 300, 250), [0, 32_768] * 32)
    counters = CounterFile(place / "counters", boot=BOOT)
    with counters.open_worker(0) as worker:
        worker.count(KEY.pack(*msgspec.to_builtins(ROW)[:14]), 8, 9_000)
    outbox = Outbox(place, DELTAS.producer, 10, boot=BOOT)
    outbox.close_window(counters, [0], DELTAS.window_ms)
    (stored,) = (place / "outbox").glob("*.msg")
    stored.rename(place / "outbox-message")


def _spool(place: Path) -> None:
    spool = Spool(place / "spool")
    spool.append(msgspec.msgpack.encode(NOTICE)).result()
    spool.close()
    (segment,) = (place / "spool").glob("*.seg")
    segment.rename(place / "segment")


def _book(place: Path) -> None:
    slots = {1: 0}
    compile_book(
        records([campaign()]),
        revision=3 << 20,
        exchanges=EXCHANGES,
        public_url=PUBLIC_URL,
        purse_of=slots.__getitem__,
        path=place / "book",
    )


def write(place: Path) -> None:
    """All of them."""
    place.mkdir(parents=True, exist_ok=True)
    for name, message in MESSAGES.items():
        (place / f"{name}.msgpack").write_bytes(msgspec.msgpack.encode(message))
    for name, document in DOCUMENTS.items():
        (place / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    sealer = Sealer((Key(1, SECRET),))
    tokens = {
        token_class.name: seal(sealer, token_class, TOKEN) for token_class in (TokenClass.NOTICE, TokenClass.PAGE)
    }
    (place / "tokens.json").write_bytes(msgspec.json.format(msgspec.json.encode(tokens)) + b"\n")
    with tempfile.TemporaryDirectory(prefix="outbid-samples-") as scratch:
        rooms = Path(scratch)
        for make in (_shared, _spool, _book):
            make(rooms)
        for name in ("board", "purses", "frequency", "segments", "shading", "outbox-message", "segment", "book"):
            (place / f"{name}.gz").write_bytes(gzip.compress((rooms / name).read_bytes(), mtime=0))
        with (rooms / "counters").open("rb") as file:
            (place / "counters.gz").write_bytes(gzip.compress(file.read(HEAD), mtime=0))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
