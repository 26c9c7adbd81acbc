"""A host whose settings name rates, keys and secrets: bids in euros, encrypted prices, money in dollars."""

import base64
import datetime
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conditions import wait_until
from tests.hosts import Host, running

pytestmark = pytest.mark.blackbox

ENCRYPTION, INTEGRITY = bytes(range(32)), bytes(range(32, 64))
SECRET = "a-secret-of-the-exchange"
CAMPAIGN = {
    "id": "euros",
    "advertiser": "acme",
    "bid": {"cpm_usd": "2"},
    "creatives": [
        {"id": "cr", "type": "banner", "w": 320, "h": 50, "adm": "<b>ad</b>", "landing_url": "https://acme.example/"}
    ],
}
SETTINGS = """
[currency]
rates = "rates.json"

[exchanges.google]
price_keys = "keys/google.price"
secret_file = "keys/google.secret"
"""


def write_rates(state: Path, euros: str, days_old: int = 0) -> None:
    day = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=days_old)
    draft = state / "rates.new"
    draft.write_text(json.dumps({"date": str(day), "base": "USD", "rates": {"EUR": euros}}))
    draft.rename(state / "rates.json")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    place = tmp_path_factory.mktemp("dialects")
    state = place / "state"
    (state / "keys").mkdir(parents=True)
    pair = " ".join(base64.urlsafe_b64encode(key).decode() for key in (ENCRYPTION, INTEGRITY))
    (state / "keys" / "google.price").write_text(pair + "\n")
    (state / "keys" / "google.secret").write_text(SECRET + "\n")
    (place / "settings.toml").write_text(SETTINGS)
    write_rates(state, "0.5")
    with running(state, workers=1, settings=place / "settings.toml") as host:
        host.campaigns(CAMPAIGN)
        yield host


def ask(host: Host, path: str = f"/bid/google/{SECRET}") -> dict[str, Any] | None:
    """The answer to a request that takes euros only, or None."""
    connection = host.connect()
    imp = {"id": "1", "bidfloor": 0.4, "bidfloorcur": "EUR", "banner": {"w": 320, "h": 50}}
    connection.request("POST", path, json.dumps({"id": "r", "imp": [imp], "cur": ["EUR"]}))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in (200, 204)
    return json.loads(body) if body else None


def price_of(answer: dict[str, Any] | None) -> float | None:
    return answer["seatbid"][0]["bid"][0]["price"] if answer else None


def encrypted(cpm_millionths: int) -> str:
    vector, price = b"sixteen bytes iv", cpm_millionths.to_bytes(8, "big")
    pad = hmac.digest(ENCRYPTION, vector, hashlib.sha1)
    hidden = bytes(price[n] ^ pad[n] for n in range(8))
    signature = hmac.digest(INTEGRITY, price + vector, hashlib.sha1)[:4]
    return base64.urlsafe_b64encode(vector + hidden + signature).decode().rstrip("=")


def told(host: Host, burl: str, price: str) -> int:
    url = urlsplit(burl.replace("${AUCTION_PRICE}", price))
    return host.get("tracker", f"{url.path}?{url.query}")[0]


def test_euros_are_bid_with_todays_rate_and_booked_in_dollars(host: Host) -> None:
    answer = wait_until(lambda: ask(host), 20.0, "a bid in euros")
    assert answer is not None
    (bid,) = answer["seatbid"][0]["bid"]
    assert (answer["cur"], bid["price"]) == ("EUR", 1)
    assert told(host, bid["burl"], "0.75") == 204  # plain: flagged, and worth nothing
    assert told(host, bid["burl"], encrypted(1_000_001)) == 204  # above the bid
    assert told(host, bid["burl"], encrypted(750_000)) == 204
    assert told(host, bid["burl"], encrypted(900_000)) == 204  # a repeat
    rows = host.report("spend", "--by", "campaign")
    assert [row["spend_nano_usd"] for row in rows if row["campaign"] == "euros"] == [1_500_000]


def test_strangers_get_a_no_bid_that_is_counted_with_its_reason(host: Host) -> None:
    assert ask(host, "/bid/google") is None
    assert ask(host, "/bid/google/not-the-secret-of-the-exchange") is None
    assert price_of(ask(host, "/bid/generic")) == 1


def test_new_rates_reach_every_bid_and_old_ones_stop_them(host: Host) -> None:
    write_rates(host.state, "0.6")
    wait_until(lambda: price_of(ask(host)) == 1.2, 20.0, "a bid with the new rate")
    write_rates(host.state, "0.7", days_old=30)
    wait_until(lambda: ask(host) is None, 20.0, "the end of bids in euros")
    write_rates(host.state, "0.5")
    wait_until(lambda: price_of(ask(host)) == 1, 20.0, "bids in euros again")
