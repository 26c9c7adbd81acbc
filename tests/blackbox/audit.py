"""Two sets of books compared: what an exchange has written down, and what `outbid report` says.

Audit(host) before the dealings; check(books) after them, which begins the next audit. Requests whose connection broke
before an answer may or may not have been counted, and so may their bids; everything else is equal, money to the
nano-USD.
"""

from dataclasses import dataclass
from typing import Any

from tests.blackbox.exchange import FIGURES, Books
from tests.hosts import Host

BIDS_A_REQUEST = 2  # at most, of the traffic that tests send


def by_campaign(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """`outbid report spend --by campaign`, in the shape of an exchange's books."""
    return {row["campaign"]: {figure: row[figure] for figure in FIGURES} for row in rows}


@dataclass(frozen=True, slots=True)
class Reports:
    """What was reported for the time between two looks."""

    spend: dict[str, dict[str, int]]  # by campaign, where there is anything
    delivery: dict[str, int]


class Audit:
    """Begins now."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._spend, self._delivery = self._look()

    def _look(self) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
        (delivery,) = self._host.report("delivery", "--by", "total")
        return by_campaign(self._host.report("spend", "--by", "campaign", flush=False)), delivery

    def reports(self) -> Reports:
        """Of all that came since the last look."""
        spend, delivery = self._look()
        new = {
            campaign: {figure: n - self._spend.get(campaign, {}).get(figure, 0) for figure, n in figures.items()}
            for campaign, figures in spend.items()
        }
        reports = Reports(
            spend={campaign: figures for campaign, figures in new.items() if any(figures.values())},
            delivery={name: n - self._delivery[name] for name, n in delivery.items() if isinstance(n, int)},
        )
        self._spend, self._delivery = spend, delivery
        return reports

    def check(self, books: Books) -> None:
        """AssertionError where they differ."""
        reports = self.reports()
        assert reports.spend == books.by_campaign()
        for figure in FIGURES:
            assert reports.delivery[figure] == books.total(figure)
        assert reports.delivery["conversions"] == 0
        requests, bids = reports.delivery["requests"], reports.delivery["bids"]
        assert books.requests <= requests <= books.requests + books.in_doubt
        assert books.bids <= bids <= books.bids + BIDS_A_REQUEST * books.in_doubt
