"""Second-price auction logs: one auction a line, `click market_price pctr`, separated by spaces.

The form that the literature on bidding uses for the iPinYou data. `click`: 0 or 1, would an impression have been
clicked; `market_price`: the highest competing bid, an integer; `pctr`: the click rate that was predicted for it.
`made` draws logs of the same form, from a market of which no auction was ever held.
"""

from collections.abc import Iterable, Iterator
from math import exp, sqrt
from pathlib import Path
from random import Random
from typing import NamedTuple

MOST = 300  # of market prices, as in iPinYou's
MOOD_EVERY = 200  # auctions
CLUNG = 0.985  # of a mood, to the next one


class Auction(NamedTuple):
    click: int
    price: int
    pctr: float


class LogError(ValueError):
    """A log cannot be read; the message says where and why."""


def read(path: Path) -> list[Auction]:
    """All auctions, in order."""
    try:
        with path.open(encoding="ascii") as lines:
            auctions = [_auction(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LogError(f"{path}: not an auction log: lines of `click market_price pctr` are wanted") from None
    if not auctions:
        raise LogError(f"{path}: no auction in it")
    return auctions


def _auction(line: str, where: str) -> Auction:
    try:
        click, price, pctr = line.split()
        auction = Auction(int(click), int(price), float(pctr))
    except ValueError:
        raise LogError(f"{where}: `click market_price pctr` is wanted, as in `0 70 0.0021`") from None
    if auction.click not in (0, 1) or auction.price < 0 or not 0 <= auction.pctr <= 1:
        raise LogError(f"{where}: click is 0 or 1, market_price at least 0, pctr from 0 to 1")
    return auction


def lines(auctions: Iterable[Auction]) -> Iterator[str]:
    """As `read` reads them."""
    for click, price, pctr in auctions:
        yield f"{click} {price} {pctr!r}\n"


def made(seed: int, count: int) -> Iterator[Auction]:
    """A log of a market with moods.

    Click rates are log-normal around 0.2 %, one impression in 17 is far above. Of prices a share lies at two reserve
    prices, the rest is log-normal and goes with the click rate, weakly: others want those users too. How many compete,
    and for how much, drifts over some ten thousands of auctions: no two days are alike. Clicks are drawn by pctr.
    """
    random = Random(seed)
    heat, reserved = random.gauss(0, 0.6), random.gauss(0, 1)
    news = sqrt(1 - CLUNG**2)
    for number in range(count):
        if number % MOOD_EVERY == 0:
            heat = CLUNG * heat + random.gauss(0, 0.6 * news)
            reserved = CLUNG * reserved + random.gauss(0, news)
        prime = random.random() < 0.06
        taste = random.gauss(0, 1)
        pctr = min(0.5, exp(-6.12 + 0.45 * taste + 0.9 * prime))
        kind = random.random() / exp(0.5 * reserved - 0.125)
        if kind < 0.2:
            price = 6
        elif kind < 0.28:
            price = 30
        else:
            price = int(exp(3.35 + heat + 0.35 * taste + 0.9 * prime + 1.05 * random.gauss(0, 1)))
        yield Auction(int(random.random() < pctr), max(1, min(MOST, price)), round(pctr, 9))
