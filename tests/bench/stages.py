"""Where the instructions of a full bid go, stage by stage: the compiled path under valgrind's callgrind, no network.

Bytes of whole requests are handed to the protocol as the loop would; counted is all that `buffer_updated` does until
the answer is written. Instructions do not depend on what else the machine does. A stage is the rooms that it is
compiled from: read (request, json), match (matcher, book_probe), auction (auction, rules, decision), caps, purse,
tokens (with OpenSSL), write, count, http (http, framing, answers), and what libc and the interpreter do for them.
"""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.clock import HandClock
from bidder._fast.counters import CounterFile
from bidder._fast.decision import Decider
from bidder._fast.frequency import FrequencyTable
from bidder._fast.http import Connections
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder._fast.sender import Sender
from bidder.campaigns.compile import compile_book
from bidder.canary.answering import call_at
from bidder.money.tokens import BidIds, Key, Sealer
from bidder.openrtb.rows import exchange_rows
from bidder.settings import SHIPPED_EXCHANGES, Consent
from bidder.users.tables import FIRST_TOUCH
from tests import books
from tests.bench import servers, table
from tests.bench.campaigns import bodies as campaign_bodies

NOW_S = 1_790_000_000
STAGES = {
    "request": "read", "json": "read", "matcher": "match", "book": "match", "book_probe": "match",
    "auction": "auction", "rules": "auction", "decision": "auction", "desk": "auction", "frequency": "caps",
    "caps": "caps", "identity": "caps", "acquaintances": "caps", "segments": "caps",
    "purses": "purse", "tokens": "tokens", "writer": "write", "counters": "count", "board": "count", "clock": "count",
    "slice": "slice", "sender": "auction",
    "http": "http", "framing": "http", "answers": "http", "peer": "http", "backlog": "http", "admission": "http",
}  # fmt: skip
USERS = 65_536  # slots of the table of caps
MANY = 10**15  # nano-USD: no purse runs dry


def prepare(directory: Path, count: int, more: Iterable[Mapping[str, Any]] = ()) -> None:
    """The files that a worker maps; `more` campaigns, in the import format."""
    purses = Purses(directory / "purses", count + 64)  # `more` are few
    records = books.records([*campaign_bodies(count), *more])
    for record in records:
        slot = purses.slot_of(record.key)
        purses.close_half(slot, 0)
        purses.grant(slot, 0, 7_000 + record.key, MANY)
        purses.open_half(slot, 0)
    compile_book(
        records,
        revision=1,
        exchanges=books.EXCHANGES,
        public_url=books.PUBLIC_URL,
        purse_of=purses.slot_of,
        path=directory / "book",
    )
    Board(directory / "board")
    FrequencyTable(directory / "frequency", USERS, now_s=NOW_S)
    SegmentTable(directory / "segments", USERS // 8)
    CounterFile(directory / "counters")


def worker(directory: Path) -> Decider:
    """As worker.py puts it together, but for the clock."""
    frequency = FrequencyTable(directory / "frequency")
    frequency.first_touch = FIRST_TOUCH["bid"]
    decider = Sender(call_at=partial(call_at, directory),
        purses=Purses(directory / "purses"), frequency=frequency, segments=SegmentTable(directory / "segments"),
        board=Board(directory / "board"), counters=CounterFile(directory / "counters").open_worker(0),
        sealer=Sealer((Key(1, bytes(range(32))),)), bid_ids=BidIds(), clock=HandClock(NOW_S * 1_000_000_000),
        rows=exchange_rows(SHIPPED_EXCHANGES, books.PUBLIC_URL), seed=1, consent=Consent(vendor_id=servers.VENDOR_ID),
    )  # fmt: skip
    decider.set_book(Book.open(directory / "book"))
    return decider


class Wire:
    """A transport that keeps nothing but the last write."""

    def __init__(self) -> None:
        self.last: list[bytes] = []
        self.write = self.last.append  # no Python frame on the measured way

    def get_extra_info(self, _name: str) -> None:
        """No address, no socket: answers are written here."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


def perform(directory: Path) -> None:
    """The measured process: every request in `directory`/requests once."""
    protocol: Any = Connections(worker(directory), lambda *_: None).protocol()
    wire = Wire()
    protocol.connection_made(wire)
    for body in (directory / "requests").read_bytes().splitlines():
        payload = b"POST /bid/generic HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        view = memoryview(protocol.get_buffer(-1))
        view[: len(payload)] = payload
        view.release()
        protocol.buffer_updated(len(payload))
        assert wire.last.pop().startswith(b"HTTP/1.1 200"), "not a bid"


def stage_of(function: str, library: str) -> str:
    """By the compiled name of the function, else by where it lies."""
    _, found, name = function.partition("_6bidder_5_fast_")
    digits = name[: len(name) - len(name.lstrip("0123456789"))]
    if found and digits:
        room = name[len(digits) : len(digits) + int(digits)]
        return STAGES.get(room, STAGES.get(room.partition("_")[0], room))
    if "libcrypto" in library:
        return "tokens"
    room = Path(library).name.partition(".")[0]
    return STAGES[room] if "_fast" in library and room in STAGES else "libc, interpreter"


def read_profile(path: Path) -> Counter[str]:
    """Instructions by stage, of callgrind's file: each line's own cost, without that of the calls made there."""
    names: dict[str, str] = {}
    found: Counter[str] = Counter()
    library = function = ""
    of_call = False

    def named(kind: str, text: str) -> str:
        number, _, name = text.partition(" ")
        if name:
            names[kind + number] = name
        return names[kind + number]

    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("ob="):
            library = named("ob", line[3:])
        elif line.startswith("fn="):
            function = named("fn", line[3:])
        elif line.startswith(("cob=", "cfn=", "cfi=", "cfl=", "fl=", "fi=", "fe=")):
            key, _, text = line.partition("=")
            named({"cob": "ob", "cfn": "fn"}.get(key, "fl"), text)
        elif line.startswith("calls="):
            of_call = True
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            if not of_call:
                found[stage_of(function, library)] += int(line.split()[1])
            of_call = False
    return found


def main(arguments: list[str]) -> int:
    """`scripts/bench stages`."""
    parser = table.parser("stages", __doc__)
    parser.add_argument("--campaigns", type=table.numbers, default=[1_000])
    parser.add_argument("--requests", type=int, default=500)
    args = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("bench stages: valgrind is not installed; as root: apt-get install -y valgrind", file=sys.stderr)
        return 1
    rows: list[dict[str, Any]] = []
    facts = table.machine()
    for count in args.campaigns:
        with tempfile.TemporaryDirectory(prefix="outbid-bench-") as name:
            directory = Path(name)
            prepare(directory, count)
            decider = worker(directory)
            chosen = [body for body in servers.bodies() if decider.answer(b"generic", body)[0] == 200][: args.requests]
            (directory / "requests").write_bytes(b"\n".join(chosen))
            profile = directory / "profile"
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--collect-atstart=no"]
            command += ["--toggle-collect=__pyx_pw_*buffer_updated*", "--error-exitcode=0"]
            command += [sys.executable, "-c", f"from tests.bench.stages import *; perform(Path({str(directory)!r}))"]
            done = subprocess.run(command, cwd=servers.CHECKOUT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"bench stages: valgrind failed:\n{done.stderr[-2000:]}")
            found = read_profile(profile)
        total = sum(found.values())
        for stage, cost in [*found.most_common(), ("all", total)]:
            rows.append({"stage": stage, "campaigns": count, "instructions": round(cost / len(chosen)),
                         "share": cost / total})  # fmt: skip
        facts["requests"] = len(chosen)
    table.show(args.json, facts, rows)
    return 0
