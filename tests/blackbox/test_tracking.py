"""From the bid to the report: what players tell, where a click leads, and what it is worth when somebody buys."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.blackbox.lines import campaign
from tests.hosts import Host

pytestmark = pytest.mark.blackbox

FILE = {"url": "https://cdn.acme.example/a.mp4", "mime": "video/mp4", "w": 640, "h": 360}
SPOT = {
    "id": "spot",
    "type": "video",
    "landing_url": "https://shop.example/buy?ref=x&cid={click_id}",
    "adomain": ["acme.example"],
    "video": {"duration_s": 15, "media": [FILE]},
}
PLAYED = ("start", "q1", "mid", "q3", "complete")
MORE = ("viewable", "starts", "first_quartiles", "midpoints", "third_quartiles", "completes", "conversion_nano_usd")


def bid(host: Host, deal: str) -> dict[str, Any]:
    """Of the video campaign, by an exchange that lets players tell all they can."""
    private = {"private_auction": 1, "deals": [{"id": deal}]}
    body = {"id": "r", "imp": [{"id": "1", "video": {"mimes": ["video/mp4"], "protocols": [13]}, "pmp": private}]}
    line = host.connect()
    line.request("POST", "/bid/generic", json.dumps(body))
    answer = json.loads(line.getresponse().read())
    line.close()
    found = answer["seatbid"][0]["bid"][0]
    assert isinstance(found, dict)
    return found


def tell(host: Host, url: str) -> tuple[int, str | None]:
    parts = urlsplit(url)
    line = host.connect("tracker")
    line.request("GET", f"{parts.path}?{parts.query}")
    answer = line.getresponse()
    answer.read()
    line.close()
    return answer.status, answer.headers.get("Location")


def our_urls(adm: str) -> dict[str, str]:
    """By the tracker's name for them."""
    found = {urlsplit(url).path.split("/")[1]: url for url in re.findall(r"<!\[CDATA\[(http://127[^]]+)", adm)}
    assert found.keys() >= {"imp", "click", "view", "error", *PLAYED}
    return found


def test_a_spot_is_followed_from_its_start_to_a_purchase(host: Host) -> None:
    host.campaigns(campaign("spot", creatives=[SPOT]))
    won = bid(host, "spot")
    urls = our_urls(won["adm"])
    for _ in range(2):  # players and exchanges repeat themselves
        assert (
            tell(host, won["nurl"].replace("${AUCTION_PRICE}", "1.5").replace("${AUCTION_MIN_TO_WIN}", "1.2"))[0] == 204
        )
        assert tell(host, won["burl"].replace("${AUCTION_PRICE}", "1.5"))[0] == 204
        assert {tell(host, urls[name])[0] for name in ("imp", "view", *PLAYED[:4])} == {200}
        status, target = tell(host, urls["click"])
        assert status == 302
        assert target is not None
        assert target.startswith("https://shop.example/buy?ref=x&cid=")
        [click_id] = parse_qs(urlsplit(target).query)["cid"]
        assert tell(host, f"http://t/conversion/{click_id}?value=19.90")[0] == 204
    assert tell(host, urls["error"].replace("[ERRORCODE]", "405"))[0] == 200
    [row] = host.report("spend", "--where", "campaign=spot", "--with", ",".join(MORE))
    usual = ("bids", "wins", "impressions", "clicks", "conversions", "spend_nano_usd")
    assert [row[name] for name in usual] == [1, 1, 1, 1, 1, 1_500_000]
    assert [row[name] for name in MORE] == [1, 1, 1, 1, 1, 0, 19_900_000_000]
