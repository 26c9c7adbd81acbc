"""Keys are rotated while the host bids and trades, and no notice is lost by it."""

import base64
import json
from urllib.parse import urlsplit

import pytest

from tests.blackbox.exchange import Crowd
from tests.blackbox.lines import ask, campaign, request
from tests.conditions import wait_until
from tests.hosts import Host

pytestmark = pytest.mark.blackbox

ROTATIONS = 5


def sealing(host: Host) -> set[int]:
    """The keys that tokens of every worker are sealed with now."""
    tokens = [urlsplit(bid.burl).path.rpartition("/")[2] for bid in ask(host, request("keys")) if bid is not None]
    assert tokens
    return {base64.urlsafe_b64decode(token[:4])[0] for token in tokens}


def kids(host: Host) -> list[int]:
    return [key["kid"] for key in json.loads(host.verb("keys", "list", "--json"))]


def test_five_rotations_under_traffic_lose_no_notice(host: Host) -> None:
    host.campaigns(campaign("keys"))
    before = kids(host)
    bid_netloc, tracker_netloc = (urlsplit(host.ready[door]).netloc for door in ("bid", "tracker"))
    crowd = Crowd(bid_netloc, tracker_netloc, 77, traders=3, every_s=0.005)  # it raises for a notice that is not taken
    seen = list(before)
    for _ in range(ROTATIONS):
        host.verb("keys", "rotate")
        seen.insert(0, max(seen) + 1)
        assert kids(host) == seen
        wait_until(lambda: sealing(host) == {seen[0]}, 5.0, "the new key in every worker")
    books = crowd.finish()
    assert books.total("wins") > 50
    refused = host.try_verb("keys", "remove", str(before[0]))
    assert refused.returncode == 1
    assert f"tokens of kid {before[0]} live until" in refused.stderr
    assert host.try_verb("keys", "promote", "200").returncode == 1
