"""Many connections at once, to ask the same thing of every worker.

A private deal that only one campaign has makes an answer tell about that campaign alone.
"""

import contextlib
import json
from typing import Any

from tests.blackbox.exchange import Bid
from tests.hosts import Host

CONNECTIONS = 16  # shared out evenly among the workers


def campaign(name: str, **changes: Any) -> dict[str, Any]:
    """A campaign that bids on deal `name` and on nothing else, as `outbid campaign import` reads it."""
    adm = '<a href="{click_url}"><img src="https://cdn.acme.example/a.png"></a>{pixel}'
    return {
        "id": name,
        "advertiser": "acme",
        "budget": {"hourly_usd": "1000", "pacing": "asap"},
        "bid": {"cpm_usd": "2.00"},
        "targeting": {"deal": {"include": [name]}},
        "creatives": [
            {
                "id": f"{name}-1",
                "type": "banner",
                "w": 300,
                "h": 250,
                "adm": adm,
                "landing_url": f"https://acme.example/{name}",
                "adomain": ["acme.example"],
            }
        ],
    } | changes


def request(deal: str, **changes: Any) -> bytes:
    """A request for that campaign; no other may answer."""
    private = {"private_auction": 1, "deals": [{"id": deal, "bidfloor": 0.01, "bidfloorcur": "USD"}]}
    body = {
        "id": "r-1",
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "pmp": private}],
        "site": {"id": "s-1", "domain": "news.example"},
        "device": {"ua": "Mozilla/5.0", "ip": "198.51.100.7"},
        "cur": ["USD"],
    }
    return json.dumps(body | changes).encode()


def ask(host: Host, body: bytes, exchange: str = "generic", connections: int = CONNECTIONS) -> list[Bid | None]:
    """The same request on so many fresh connections, all open at once; what each was answered."""
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(contextlib.closing(host.connect())) for _ in range(connections)]
        for line in lines:
            line.connect()
        return [_post(line, exchange, body) for line in lines]


def _post(line: Any, exchange: str, body: bytes) -> Bid | None:
    line.request("POST", f"/bid/{exchange}", body)
    answer = line.getresponse()
    text = answer.read()
    assert answer.status in (200, 204), f"{answer.status}"
    return Bid.all_of(text)[0] if answer.status == 200 else None


def workers(bids: list[Bid | None]) -> set[str]:
    """Who made them."""
    return {bid.worker for bid in bids if bid is not None}


def everybody_bids(host: Host, deal: str, exchange: str = "generic") -> bool:
    """Each connection gets a bid, and every worker made some."""
    bids = ask(host, request(deal), exchange)
    return all(bids) and len(workers(bids)) == host.workers


def nobody_bids(host: Host, deal: str, exchange: str = "generic") -> bool:
    """No connection gets one, whichever worker it is on."""
    return not any(ask(host, request(deal), exchange))


def all_bids(host: Host, deal: str) -> list[Bid]:
    """What the campaign bids, request after request on connections to both workers, until one gets none."""
    found: list[Bid] = []
    while True:
        bids = ask(host, request(deal), connections=4)
        found += [bid for bid in bids if bid is not None]
        if not all(bids):
            return found
