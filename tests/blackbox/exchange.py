"""An exchange of somebody else's: posts requests, runs auctions, fires notices, and keeps books of its own.

Trader.ask(body) -> bids, one for each impression that we want -> Trader.trade(bid): auction, notices, clicks -> Books
It knows OpenRTB and HTTP and nothing of outbid. Money: CPM as decimals on the wire, int nano-USD for one impression in
the books. Notices are sent again until they are answered, as exchanges do.
"""

import html
import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from bidder.simulator.traffic import requests

NANO_PER_CPM = 1_000_000
FIGURES = ("wins", "impressions", "clicks", "spend_nano_usd")
EXCHANGES = ("generic", "openx", "pubmatic", "xandr")  # those that book on billing notices with plain prices
AGAIN_S = 30.0  # that a notice is sent again for
TAKEN = frozenset((200, 204, 302))
_PIXEL = re.compile(r'<img src="([^"]+/imp/[^"]+)"')
_CLICK = re.compile(r'href="([^"]+/click/[^"]+)"')


@dataclass(frozen=True, slots=True)
class Bid:
    """One bid, as an exchange reads it."""

    campaign: str
    id: str
    price: int  # nano-USD
    nurl: str
    burl: str
    lurl: str
    pixel: str
    click: str

    @property
    def worker(self) -> str:
        """Names the worker that made it: docs/formats.md, bid ids."""
        return self.id[8:18]

    @staticmethod
    def all_of(answer: bytes) -> "list[Bid]":
        """Every bid of a response."""
        response = json.loads(answer, parse_float=Decimal)
        return [Bid.of(bid) for seat in response["seatbid"] for bid in seat["bid"]]

    @staticmethod
    def of(bid: dict[str, Any]) -> "Bid":
        """A bid object, its price a Decimal or an int."""
        markup = html.unescape(bid["adm"])
        pixel, click = _PIXEL.search(markup), _CLICK.search(markup)
        assert pixel, "markup without a pixel"
        assert click, "markup without a click"
        nano = Decimal(bid["price"]) * NANO_PER_CPM
        assert nano == int(nano) > 0
        urls = (bid["nurl"], bid["burl"], bid["lurl"], pixel[1], click[1])
        return Bid(bid["cid"], bid["id"], int(nano), *urls)


@dataclass(slots=True)
class Books:
    """What an exchange knows of its dealings with us."""

    answers: Counter[int] = field(default_factory=Counter)  # by status
    bids: int = 0  # one for each impression bid on
    in_doubt: int = 0  # requests sent whose connection broke before an answer
    refused: Counter[str] = field(default_factory=Counter)  # notices that were to be refused, and were
    deals: dict[str, Counter[str]] = field(default_factory=dict)  # campaign -> FIGURES

    @property
    def requests(self) -> int:
        """Those that got an answer."""
        return self.answers.total()

    def note(self, campaign: str, figure: str, n: int = 1) -> None:
        self.deals.setdefault(campaign, Counter())[figure] += n

    def total(self, figure: str) -> int:
        return sum(deal[figure] for deal in self.deals.values())

    @staticmethod
    def together(parts: "list[Books]") -> "Books":
        """Of several traders."""
        whole = Books()
        for part in parts:
            whole.answers += part.answers
            whole.bids += part.bids
            whole.in_doubt += part.in_doubt
            whole.refused += part.refused
            for campaign, deal in part.deals.items():
                whole.deals.setdefault(campaign, Counter()).update(deal)
        return whole

    def by_campaign(self) -> dict[str, dict[str, int]]:
        """Campaigns with anything in the books."""
        return {
            campaign: {figure: deal[figure] for figure in FIGURES}
            for campaign, deal in self.deals.items()
            if any(deal[figure] for figure in FIGURES)
        }


class Line:
    """A keep-alive connection that is opened anew when it breaks."""

    def __init__(self, netloc: str) -> None:
        self._connection = http.client.HTTPConnection(netloc, timeout=10)

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, str | None]:
        """Status, body, Location; OSError or HTTPException where there is no whole answer."""
        try:
            self._connection.request(method, path, body)
            answer = self._connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("Location")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def open(self) -> None:
        """Make sure that there is a connection; OSError where nobody listens."""
        if self._connection.sock is None:
            self._connection.connect()

    def close(self) -> None:
        self._connection.close()


class Trader:
    """One thread's share of the exchange: connections, dice and books of its own."""

    def __init__(self, bid_netloc: str, tracker_netloc: str, seed: int) -> None:
        self.books = Books()
        self.dice = random.Random(seed)
        self._bodies: Iterator[bytes] = requests(seed)
        self._bids = Line(bid_netloc)
        self._notices = Line(tracker_netloc)

    def close(self) -> None:
        self._bids.close()
        self._notices.close()

    def ask(self, body: bytes | None = None, exchange: str | None = None) -> list[Bid]:
        """Post one request; its bids. An answer counts; a connection that breaks under a request leaves it in doubt."""
        body = next(self._bodies) if body is None else body
        path = f"/bid/{exchange or self.dice.choice(EXCHANGES)}"
        self._bids.open()
        try:
            status, answer, _ = self._bids.send("POST", path, body)
        except (OSError, http.client.HTTPException):
            self.books.in_doubt += 1
            raise
        self.books.answers[status] += 1
        bids = Bid.all_of(answer) if status == 200 else []
        self.books.bids += len(bids)
        return bids

    def tell(self, url: str) -> tuple[int, str | None]:
        """Fire one notice, again and again until it is answered with more than `try again`; status and Location."""
        deadline = time.monotonic() + AGAIN_S
        parts = urlsplit(url)
        path = parts.path + ("?" + parts.query if parts.query else "")
        while True:
            try:
                status, _, location = self._notices.send("GET", path)
                if status < 500:
                    return status, location
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < deadline, f"nobody took a notice for {AGAIN_S:g} s"
            threading.Event().wait(0.02)

    def told(self, url: str) -> None:
        """Fire one notice that is to be acknowledged."""
        status, _ = self.tell(url)
        assert status in TAKEN, f"{status} for {url}"

    def clearing_price(self, bid: Bid) -> int | None:
        """A second-price auction against somebody else: what we pay, or None where we lost. nano-USD."""
        other = self.dice.randrange(1, bid.price * 5 // 4 + 2)
        return other if other <= bid.price else None

    def trade(self, bid: Bid) -> int | None:
        """The auction and all that follows from it, once; what we paid, or None."""
        price = self.clearing_price(bid)
        if price is None:
            self.told(loss(bid.lurl))
            return None
        self.won(bid, price)
        self.billed(bid, price)
        return price

    def won(self, bid: Bid, price: int) -> None:
        self.told(priced(bid.nurl, price))
        self.books.note(bid.campaign, "wins")

    def billed(self, bid: Bid, price: int) -> None:
        """Shown and paid for: bill, pixel, and now and then a click."""
        self.told(priced(bid.burl, price))
        self.books.note(bid.campaign, "spend_nano_usd", price)
        self.told(bid.pixel)
        self.books.note(bid.campaign, "impressions")
        if self.dice.random() < 0.2:
            self.told(bid.click)
            self.books.note(bid.campaign, "clicks")


class Crowd:
    """Traders at work until told to stop, through whatever happens to the host."""

    def __init__(self, bid_netloc: str, tracker_netloc: str, seed: int, traders: int, every_s: float) -> None:
        self._stop = threading.Event()
        self._every_s = every_s
        self._problems: list[BaseException] = []
        self._traders = [Trader(bid_netloc, tracker_netloc, seed + n) for n in range(traders)]
        self._threads = [threading.Thread(target=self._work, args=(trader,)) for trader in self._traders]
        for thread in self._threads:
            thread.start()

    def _work(self, trader: Trader) -> None:
        try:
            while not self._stop.wait(self._every_s):
                try:
                    bids = trader.ask()
                except (OSError, http.client.HTTPException):
                    continue  # in its books; on a new connection it goes on
                for bid in bids:
                    trader.trade(bid)
        except BaseException as problem:
            self._problems.append(problem)
        finally:
            trader.close()

    def books(self) -> Books:
        """As they are now."""
        return Books.together([trader.books for trader in self._traders])

    def answered(self) -> int:
        return sum(trader.books.requests for trader in self._traders)

    def finish(self) -> Books:
        """Everybody ends what they are doing; the books of all. Raises what went wrong with any of them."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60.0)
            assert not thread.is_alive(), "a trader hangs"
        if self._problems:
            raise self._problems[0]
        return self.books()


def cpm(nano: int) -> str:
    """As prices stand in notices."""
    return f"{Decimal(nano) / NANO_PER_CPM:f}"


def priced(url: str, nano: int) -> str:
    """The macro replaced, as exchanges do."""
    assert "${AUCTION_PRICE}" in url
    return url.replace("${AUCTION_PRICE}", cpm(nano))


def loss(url: str) -> str:
    """Lost to a higher bid."""
    return url.replace("${AUCTION_LOSS}", "102").replace("${AUCTION_PRICE}", "9.99")


def tampered(url: str, at: int) -> str:
    """The same URL with one character of its token changed."""
    head, kind, rest = re.split(r"/(win|bill|loss|imp|click)/", url)
    token, mark, query = rest.partition("?")
    other = "A" if token[at] != "A" else "B"
    return f"{head}/{kind}/{token[:at]}{other}{token[at + 1 :]}{mark}{query}"
