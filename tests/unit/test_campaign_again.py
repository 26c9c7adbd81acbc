"""What is stored can be read again: `campaign show` prints what `campaign import` takes."""

import json
from pathlib import Path

from bidder.campaigns.model import normalise, read_lines
from bidder.settings import SHIPPED_EXCHANGES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "campaigns.jsonl"
SPARSE = {
    "id": "c-1",
    "advertiser": "acme",
    "bid": {"cpm_usd": "1"},
    "creatives": [{"id": "cr-1", "type": "banner", "w": 1, "h": 1, "adm": "x", "landing_url": "https://a.example/"}],
}


def test_a_normalised_campaign_is_a_campaign_and_normal() -> None:
    text = EXAMPLES.read_text(encoding="utf-8") + json.dumps(SPARSE)
    once = [normalise(campaign) for campaign in read_lines(text, SHIPPED_EXCHANGES)]
    again = read_lines("\n".join(map(json.dumps, once)), SHIPPED_EXCHANGES)
    assert [normalise(campaign) for campaign in again] == once
