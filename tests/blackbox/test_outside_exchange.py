"""An outside exchange with books of its own finds every figure of ours equal to them.

1,500 requests, all kinds of notices, some sent twice, late, forged, unpriced, overpriced. Late is 3 s here, not 15: the
lateness of a bill within its reservation's life changes nothing, and the test would only take longer.
"""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from bidder.simulator.traffic import requests
from tests.blackbox.audit import Audit, Reports
from tests.blackbox.exchange import Bid, Books, Line, Trader, loss, priced, tampered
from tests.hosts import Host

pytestmark = pytest.mark.blackbox

REQUESTS = 1_500
TRADERS = 3
WINS = 300
LATE_S = 3.0
TWICE, LATE, FORGED, UNPRICED, OVERPRICED = 0.10, 0.02, 0.02, 0.03, 0.03


class CarelessTrader(Trader):
    """Trades as real exchanges do: notices twice, late, forged on the way, without a price, with too high a one."""

    def __init__(self, bid_netloc: str, tracker_netloc: str, seed: int) -> None:
        super().__init__(bid_netloc, tracker_netloc, seed)
        self.late: list[tuple[float, Bid, int]] = []  # due, bid, price

    def told(self, url: str) -> None:
        if self.dice.random() < FORGED:
            self.refused(tampered(url, self.dice.randrange(60)))
        super().told(url)
        if self.dice.random() < TWICE:
            super().told(url)

    def refused(self, url: str) -> None:
        status, _ = self.tell(url)
        assert 400 <= status < 500, f"{status} for a forged token"
        self.books.refused["forged"] += 1

    def billed(self, bid: Bid, price: int) -> None:
        if self.dice.random() < UNPRICED:
            super().told(bid.burl)  # the macro as it was: taken, and worth nothing
            self.books.refused["unpriced"] += 1
        if self.dice.random() < OVERPRICED:
            super().told(priced(bid.burl, bid.price + self.dice.choice([1, 1_000, 10_000_000])))
            self.books.refused["overpriced"] += 1
        if self.dice.random() < LATE:
            self.late.append((time.monotonic() + LATE_S, bid, price))
        else:
            super().billed(bid, price)

    def bill_the_late(self) -> None:
        """What is due only now; waits for it."""
        for due, bid, price in self.late:
            threading.Event().wait(max(0.0, due - time.monotonic()))
            super().billed(bid, price)
            self.books.refused["late"] += 1

    def work(self, share: int) -> None:
        for _ in range(share):
            for bid in self.ask():
                self.trade(bid)
        self.bill_the_late()


@dataclass(frozen=True, slots=True)
class Morning:
    """What both sides say of the same dealings."""

    books: Books
    reports: Reports


@pytest.fixture(scope="module")
def morning(host: Host) -> Morning:
    """The exchange at work, and the reports right after it."""
    audit = Audit(host)
    return Morning(worked(host), audit.reports())


def worked(host: Host) -> Books:
    """What the exchange has in its books after a morning's work."""
    bid_netloc, tracker_netloc = (urlsplit(host.ready[door]).netloc for door in ("bid", "tracker"))
    traders = [CarelessTrader(bid_netloc, tracker_netloc, 7_000 + n) for n in range(TRADERS)]
    try:
        with ThreadPoolExecutor(TRADERS) as pool:
            list(pool.map(lambda trader: trader.work(REQUESTS // TRADERS), traders))
    finally:
        for trader in traders:
            trader.close()
    return Books.together([trader.books for trader in traders])


def test_every_request_is_answered_with_a_bid_or_a_no_bid(morning: Morning) -> None:
    books = morning.books
    assert books.requests == REQUESTS
    assert set(books.answers) == {200, 204}
    assert books.bids >= REQUESTS * 30 // 100


def test_the_exchange_did_all_that_it_is_to_be_tested_with(morning: Morning) -> None:
    books = morning.books
    assert books.total("wins") >= WINS
    assert len(books.by_campaign()) >= 8
    assert all(books.total(figure) > 0 for figure in ("impressions", "clicks", "spend_nano_usd"))
    assert all(books.refused[kind] > 0 for kind in ("forged", "unpriced", "overpriced", "late"))


def test_spend_by_campaign_equals_the_exchanges_books(morning: Morning) -> None:
    assert morning.reports.spend == morning.books.by_campaign()


def test_delivery_in_total_equals_the_exchanges_books(morning: Morning) -> None:
    books = morning.books
    assert morning.reports.delivery == {
        "requests": books.requests,
        "bids": books.bids,
        "conversions": 0,
        **{figure: books.total(figure) for figure in ("wins", "impressions", "clicks", "spend_nano_usd")},
    }


def test_dollars_in_the_report_are_its_nano_dollars(host: Host, morning: Morning) -> None:
    for row in host.report("spend", "--by", "campaign"):
        assert isinstance(row["spend_usd"], str)
        assert Decimal(row["spend_usd"]) * 10**9 == row["spend_nano_usd"]


def test_ledger_adds_up_to_nothing(host: Host, morning: Morning) -> None:
    balances = host.verb("sql", "-A", "-t", "-c", "SELECT sum(balance_nano_usd), count(*) > 0 FROM report.ledger")
    assert balances.strip() == "0|t"


@pytest.fixture
def trader(host: Host) -> Iterator[Trader]:
    trader = Trader(urlsplit(host.ready["bid"]).netloc, urlsplit(host.ready["tracker"]).netloc, seed=99)
    yield trader
    trader.close()


def some_bid(trader: Trader, exchange: str = "generic") -> Bid:
    return next(bid for _ in range(200) for bid in trader.ask(exchange=exchange))


def spend(host: Host, campaign: str) -> int:
    rows = host.report("spend", "--by", "campaign", "--where", f"campaign={campaign}")
    return sum(row["spend_nano_usd"] for row in rows)


def test_a_bill_refused_for_its_price_does_not_use_up_the_good_one(host: Host, trader: Trader) -> None:
    bid = some_bid(trader)
    before = spend(host, bid.campaign)
    bad = [bid.burl, bid.burl.replace("${AUCTION_PRICE}", ""), bid.burl.partition("?")[0], priced(bid.burl, 0)]
    bad += [bid.burl.replace("${AUCTION_PRICE}", text) for text in ("-1", "NaN", "1e99", "AUDIT", "1,5", "0x1")]
    bad += [priced(bid.burl, bid.price + 1)]
    assert {trader.tell(url)[0] for url in bad} == {204}
    assert spend(host, bid.campaign) == before
    trader.told(priced(bid.burl, bid.price))
    trader.told(priced(bid.burl, bid.price // 2))
    assert spend(host, bid.campaign) == before + bid.price


def test_two_bills_at_the_same_moment_count_once(host: Host, trader: Trader) -> None:
    bid = some_bid(trader)
    before = spend(host, bid.campaign)
    barrier = threading.Barrier(8)
    statuses: Counter[int] = Counter()

    def send() -> None:
        line = Line(urlsplit(bid.burl).netloc)
        parts = urlsplit(priced(bid.burl, bid.price))
        line.open()
        barrier.wait(10)
        status, _, _ = line.send("GET", f"{parts.path}?{parts.query}")
        statuses[status] += 1
        line.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {204: 8}
    assert spend(host, bid.campaign) == before + bid.price


def test_a_token_of_the_page_cannot_bill(host: Host, trader: Trader) -> None:
    bid = some_bid(trader)
    page_token = bid.pixel.rpartition("/")[2]
    base, _, query = priced(bid.burl, bid.price).partition("?")
    assert trader.tell(f"{base.rpartition('/')[0]}/{page_token}?{query}")[0] == 400
    notice_token = base.rpartition("/")[2]
    assert trader.tell(bid.pixel.replace(page_token, notice_token))[0] == 400


def test_every_changed_character_of_a_token_is_noticed(trader: Trader) -> None:
    bid = some_bid(trader)
    for url in (priced(bid.burl, bid.price), bid.click, loss(bid.lurl)):
        token = urlsplit(url).path.rpartition("/")[2]
        statuses = {trader.tell(tampered(url, at))[0] for at in range(len(token))}
        assert statuses == {400}
        assert trader.tell(url.replace(token, token[:-4]))[0] == 400
        assert trader.tell(url.replace(token, token + "AAAA"))[0] == 400


def test_a_click_leads_where_the_book_says_and_nowhere_else(host: Host, trader: Trader) -> None:
    bid = some_bid(trader)
    campaign = json.loads(host.verb("campaign", "show", bid.campaign))
    landings = {creative["landing_url"] for creative in campaign["creatives"]}
    first, again = trader.tell(bid.click), trader.tell(bid.click + "?url=https://evil.example/")
    assert first == again
    assert first[0] == 302
    assert first[1] in landings


def test_a_plain_price_books_nothing_at_an_exchange_that_encrypts(host: Host, trader: Trader) -> None:
    bid = some_bid(trader, exchange="google")
    before = spend(host, bid.campaign)
    trader.told(priced(bid.burl, bid.price))
    assert spend(host, bid.campaign) == before


@pytest.mark.parametrize("seed", [1, 2])
def test_test_requests_are_bid_on_and_nothing_of_them_is_booked(host: Host, trader: Trader, seed: int) -> None:
    audit = Audit(host)
    bodies = itertools.islice(requests(880 + seed), 60)
    made = [bid for body in bodies for bid in trader.ask(json.dumps(json.loads(body) | {"test": 1}).encode())]
    assert len(made) >= 10
    for bid in made:
        for url in (priced(bid.nurl, bid.price), priced(bid.burl, bid.price), loss(bid.lurl)):
            assert trader.tell(url)[0] == 204
        assert trader.tell(bid.pixel)[0] == 200
        assert trader.tell(bid.click)[0] == 302
        assert trader.tell(tampered(bid.burl, 7 * seed))[0] == 400
    audit.check(Books())
