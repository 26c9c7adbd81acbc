"""Trackers of two hosts and the ledger behind them: whatever is sent, only genuine, priced notices book, once each."""

import asyncio
import http.client
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from bidder.events.schema import NoticeFlag, NoticeKind
from bidder.money import keyfile
from bidder.money.tokens import Key, Sealer, Token, TokenClass, click_id, create_keys, load_keys, seal
from bidder.ops.control import ask
from bidder.settings import Tracking
from tests.booked_spools import Books
from tests.conditions import wait_until
from tests.faults.test_tracker import Process
from tests.free_ports import free_port
from tests.trackers import CREATIVE, LANDING, House, house

pytestmark = pytest.mark.faults

PRICE, BID = 1_500_000, 2_400_000  # nano-USD; at the door $1.5 and $2.4 CPM
MINUTE = int(time.time()) // 60
PIXELS = {"exchanges": {"pixels": {"key": 20, "notices": [], "spend_on": "impression"}}}
GENUINE = 1  # number of the bid that is really billed


def token_of(n: int, campaign: int = 41, exchange: int = 1, minute: int = MINUTE) -> Token:
    bid_id = minute.to_bytes(4, "big") + n.to_bytes(8, "big")
    numbers = {"exchange": exchange, "campaign": campaign, "creative": CREATIVE, "lease": 7}
    return Token(bid_id, **numbers, bid_price=BID, taken=BID)


def other(character: str) -> str:
    return "B" if character == "A" else "A"


class Street(NamedTuple):
    """Trackers of two hosts, with the same keys, and their one ledger."""

    trackers: tuple[Process, Process]
    books: Books
    keys: Path

    def fire(self, paths: list[str]) -> Counter[int]:
        """Each at both trackers; how they were answered."""
        found: Counter[int] = Counter()
        for tracker in self.trackers:
            line = http.client.HTTPConnection("127.0.0.1", tracker.port, timeout=10)
            for path in paths:
                line.request("GET", path)
                answer = line.getresponse()
                answer.read()
                assert "Location" not in answer.headers
                found[answer.status] += 1
            line.close()
        return found


@pytest.fixture
def street(tmp_path: Path, database: str) -> Iterator[Street]:
    first, second = tmp_path / "a", tmp_path / "b"
    keys = first / "keys" / "token.keys"
    create_keys(keys)
    now = datetime.now(UTC)
    keyfile.add(keys, now)
    keyfile.promote(keys, 2, now)
    shutil.copytree(first, second)
    trackers = Process(first, free_port(), settings=PIXELS), Process(second, free_port(), settings=PIXELS)
    books = Books(database, first / "spool", second / "spool")
    try:
        for tracker in trackers:
            tracker.wait_ready()
        yield Street(trackers, books, keys)
    finally:
        books.close()
        for tracker in trackers:
            tracker.process.kill()
            tracker.process.communicate()


def kids(tracker: Process) -> list[int]:
    return list(ask(tracker.state / "run" / "tracker.sock", {"do": "health"}, 5)["kids"])


def flipped(token: str) -> list[str]:
    """One character changed, at every place."""
    return [f"{token[:at]}{other(token[at])}{token[at + 1 :]}" for at in range(len(token))]


def wicked(street: Street) -> dict[str, tuple[list[str], dict[int, int]]]:
    """name -> paths, and how many of each status both trackers give together."""
    keys = load_keys(street.keys)
    sealer, retired = Sealer(keys), Sealer(keys[1:])
    bill = seal(sealer, TokenClass.NOTICE, token_of(GENUINE))
    richer = seal(sealer, TokenClass.NOTICE, token_of(2, campaign=99))
    page = seal(sealer, TokenClass.PAGE, token_of(GENUINE))
    paying_page = seal(sealer, TokenClass.PAGE, token_of(3, exchange=20))
    click = click_id(sealer, token_of(GENUINE))
    theirs = [Sealer([Key(kid, bytes(32))]) for kid in (1, 2, 77)]
    keyfile.remove(street.keys, 1, datetime.now(UTC), timedelta(), force=True)
    shutil.copyfile(street.keys, street.trackers[1].state / "keys" / "token.keys")
    for tracker in street.trackers:
        wait_until(lambda tracker=tracker: kids(tracker) == [2], 10, "the key to be gone")
    gone = seal(retired, TokenClass.NOTICE, token_of(4))
    priced = "?price=1.5"
    forged = {
        "bits": flipped(bill),
        "cut": [bill[:at] for at in (0, 1, 4, 16, 17, 50, 114, 123)],
        "longer": [bill + "A", bill + bill, bill + "%00", bill + "="],
        "spliced": [bill[:at] + richer[at:] for at in range(24, 124, 8)],
        "keys of others": [seal(one, TokenClass.NOTICE, token_of(5)) for one in theirs],
        "a key that was removed": [gone],
        "noise": ["..", "%2e%2e", "%0d%0aLocation:%20x", "%F0%9F%98%80", "a" * 124, "_" * 124, "A" * 4_000],
    }
    cases = {name: ([f"/bill/{one}{priced}" for one in tokens], 400) for name, tokens in forged.items()}
    cases["other class"] = (
        [f"/{path}/{one}{priced}" for path in ("win", "bill", "loss") for one in (page, paying_page, click)]
        + [f"/{path}/{one}{priced}" for path in ("imp", "view", "complete", "click", "conversion") for one in (bill,)]
        + [f"/{path}/{click}{priced}" for path in ("imp", "start", "click", "error")]
        + [f"/conversion/{page}{priced}"],
        400,
    )
    bad = ["", "AUDIT", "${AUCTION_PRICE}", "%24%7BAUCTION_PRICE%7D", "${AUCTION_PRICE:B64}", "0", "-1", "-0.5", "NaN",
           "inf", "1e99", "2.400001", "99", "1,5", "0x1", "MS41", "1.5&price=99", "%31%00", "1.5%0d%0a"]  # fmt: skip
    cases["prices that cannot be"] = [f"/bill/{bill}?price={price}" for price in bad] + [f"/bill/{bill}"], 204
    cases["a pixel that is money without its price"] = [f"/imp/{paying_page}?price={price}" for price in bad], 200
    return {name: (paths, {status: 2 * len(paths)}) for name, (paths, status) in cases.items()}


def test_nothing_wicked_books_and_what_is_genuine_still_does(street: Street) -> None:
    for name, (paths, statuses) in wicked(street).items():
        assert street.fire(paths) == statuses, name
    street.books.book()
    assert street.books.spent() == 0
    assert street.books.query("SELECT count(*) FROM ledger.suspense") == [(0,)]
    assert street.books.query("SELECT sum(impressions + wins + bills) FROM rollup.notice_minute") == [(None,)]
    flags = street.books.query("SELECT bit_or(flags), sum(n)::int FROM rollup.flagged_minute")
    assert flags == [(NoticeFlag.PRICE_MISSING | NoticeFlag.PRICE_INVALID | NoticeFlag.PRICE_ABOVE_BID, 2 * 39)]

    bill = seal(Sealer(load_keys(street.keys)), TokenClass.NOTICE, token_of(GENUINE))
    pixel = seal(Sealer(load_keys(street.keys)), TokenClass.PAGE, token_of(3, exchange=20))
    for _ in range(3):  # none of the above has used up a key; replays count once, whatever they say later
        assert street.fire([f"/bill/{bill}?price=1.5", f"/bill/{bill}?price=2.4"]) == {204: 4}
        assert street.fire([f"/imp/{pixel}?price=1.5"]) == {200: 2}
        street.books.book()
    assert street.books.spent() == 2 * PRICE
    assert street.books.query("SELECT sum(bills)::int, sum(impressions)::int FROM rollup.notice_minute") == [(1, 1)]
    assert street.books.query("SELECT campaign FROM ledger.bid WHERE spent_nano > 0") == [(41,), (41,)]


def play_everywhere(
    tmp_path: Path, scene: Callable[[House, House], "asyncio.Future[None] | object"], wall_ms: Callable[[], int]
) -> None:
    """The scene with the trackers of two hosts, started over on what they left."""

    async def main() -> None:
        landings = {CREATIVE: LANDING + "&c={click_id}"}
        keys = create_keys(tmp_path / "a" / "token.keys")
        assert keys
        (tmp_path / "b").mkdir(exist_ok=True)
        shutil.copyfile(tmp_path / "a" / "token.keys", tmp_path / "b" / "token.keys")
        async with (
            asyncio.timeout(20),
            house(tmp_path / "a", Tracking(), landings, wall_ms=wall_ms) as first,
            house(tmp_path / "b", Tracking(), landings, wall_ms=wall_ms) as second,
        ):
            await scene(first, second)  # type: ignore[misc]

    asyncio.run(main())


DAY_MS = 86_400_000


@pytest.mark.parametrize("days", [0.0, 1.0, 2.9, 3.1, 40.0])
def test_a_notice_counts_once_on_all_hosts_after_restarts_and_days_later(
    tmp_path: Path, database: str, days: float
) -> None:
    """Past the life of its token a repeat is flagged; before, it is a repeat."""
    now = [MINUTE * 60_000 + 1_000]
    sealers = [Sealer(create_keys(tmp_path / "a" / "token.keys"))]
    token = token_of(9)
    paths = [f"/bill/{seal(sealers[0], TokenClass.NOTICE, token)}?price=1.5"]
    page = seal(sealers[0], TokenClass.PAGE, token)
    paths += [f"/{path}/{page}" for path in ("imp", "view", "click")]
    books = Books(database, tmp_path / "a" / "spool", tmp_path / "b" / "spool")

    async def scene(first: House, second: House) -> None:
        for h in (first, second):
            for path in paths:
                assert (await h.fetch(path)).code in (200, 204, 302)
            clicked = await h.fetch(f"/click/{page}")
            conversion = clicked.headers["Location"].rpartition("c=")[2]
            assert (await h.fetch(f"/conversion/{conversion}?value=3")).code == 204

    try:
        play_everywhere(tmp_path, scene, lambda: now[0])
        books.book()
        now[0] += int(days * DAY_MS)
        play_everywhere(tmp_path, scene, lambda: now[0])  # other processes, which remember nothing
        books.book()
        counted = "sum(bills)::int, sum(impressions)::int, sum(viewable)::int, sum(clicks)::int, sum(conversions)::int"
        assert books.query(f"SELECT {counted} FROM rollup.notice_minute") == [(1, 1, 1, 1, 1)]
        assert books.query("SELECT sum(conversion_nano)::bigint FROM rollup.notice_minute") == [(3_000_000_000,)]
        assert books.spent() == PRICE
        assert books.query("SELECT count(*) FROM ledger.suspense") == [(0,)]
        flagged = dict(books.query("SELECT kind, sum(n)::int FROM rollup.flagged_minute GROUP BY 1"))
        kinds = (NoticeKind.BILL, NoticeKind.IMPRESSION, NoticeKind.VIEWABLE)
        gone = dict.fromkeys(kinds, 2) | {NoticeKind.CLICK: 4} if days > 3 else {}
        assert flagged == gone | ({NoticeKind.CONVERSION: 2} if days > 30 else {})
    finally:
        books.close()
