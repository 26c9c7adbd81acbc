"""The campaigns of the benches: always the same, in the import format, and aimed at the synthetic traffic."""

import statistics
from itertools import islice
from pathlib import Path

from bidder._fast.matcher import Matcher
from bidder._fast.request import Reader
from bidder.simulator.traffic import requests
from tests.bench.campaigns import campaigns
from tests.books import book

COUNT = 1_000


def test_same_seed_gives_the_same_campaigns() -> None:
    assert list(campaigns(20)) == list(islice(campaigns(50), 20))
    assert list(campaigns(5, seed=8)) != list(campaigns(5))


def test_markup_has_at_least_500_bytes() -> None:
    assert min(len(one["adm"]) for body in campaigns(200) for one in body["creatives"]) >= 500


def test_median_request_is_accepted_by_three_percent(tmp_path: Path) -> None:
    compiled = book(tmp_path / "b.bin", campaigns(COUNT))
    matcher, reader = Matcher(compiled), Reader()
    accepting = []
    for body in islice(requests(3), 100):
        assert reader.parse(body) == 0
        accepting.append(len(matcher.matches(reader, compiled.exchanges["generic"], 1_790_000_000, 0)))
    assert statistics.median(accepting) >= 0.03 * COUNT
