"""The exchange's books against those of the bidder: figure by figure, in total and by campaign, exactly.

Books of both sides come as JSON: `Summary.document()` and the rows of `outbid report`. Money: int nano-USD.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bidder.money.units import usd_text

FIGURES = ("requests", "bids", "wins", "impressions", "clicks", "spend_nano_usd")
BY_CAMPAIGN = FIGURES[1:]


class Line(NamedTuple):
    """One figure on both sides."""

    campaign: str  # "" for the total
    figure: str
    exchange: int
    postgres: int

    @property
    def agrees(self) -> bool:
        """Exactly."""
        return self.exchange == self.postgres


def totals(document: Mapping[str, Any], delivery: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Every figure; `delivery` is the report by `total`, which has no row where nothing was."""
    row = delivery[0] if delivery else {}
    return [Line("", figure, document[figure], row.get(figure, 0)) for figure in FIGURES]


def campaigns(document: Mapping[str, Any], spend: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Every figure of every campaign that one of the two sides knows; `spend` is the report by `campaign`."""
    ours: Mapping[str, Mapping[str, int]] = document["campaigns"]
    theirs = {str(row["campaign"]): row for row in spend}
    return [
        Line(name, figure, ours.get(name, {}).get(figure, 0), theirs.get(name, {}).get(figure, 0))
        for name in sorted(ours.keys() | theirs.keys())
        for figure in BY_CAMPAIGN
    ]


def _text(figure: str, n: int) -> str:
    return f"${usd_text(n)}" if figure == "spend_nano_usd" else f"{n:,}"


def table(lines: Iterable[Line]) -> list[str]:
    """For people: one line a figure."""
    found = [f"{'':22} {'exchange':>18} {'Postgres':>18}"]
    for line in lines:
        name = f"{line.campaign} {'spend' if line.figure == 'spend_nano_usd' else line.figure}".strip()
        both = f"{_text(line.figure, line.exchange):>18} {_text(line.figure, line.postgres):>18}"
        verdict = "agree" if line.agrees else f"DIFFER by {line.postgres - line.exchange:+,}"
        found.append(f"{name:22} {both}  {verdict}")
    return found
