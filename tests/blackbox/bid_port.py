"""The bid port from outside: requests made of patches, answers as bytes, campaigns that only their own requests reach.

    asker.ask(request(size, {"device": {"os": "iOS"}})) -> Answer(status, headers, body) -> .campaigns

`Sizes` gives every name a banner size of its own, which nothing else in a test run has: the campaign of that
size is alone with the requests for it, however many others the host serves.
"""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bidder.openrtb.lint import lint
from tests.lint_cases.objections import objections

Json = dict[str, Any]

CPM = "2"
MARKUP = '<a href="{click_url}"><img src="https://cdn.acme.example/a.png" alt=""></a>{pixel}'
HEIGHT = 7  # no traffic has banners like this


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def bids(self) -> list[Json]:
        """Every bid, of every seat."""
        if self.status != 200:
            return []
        return [bid for seat in json.loads(self.body)["seatbid"] for bid in seat["bid"]]

    @property
    def campaigns(self) -> list[str]:
        """Who bids."""
        return [bid["cid"] for bid in self.bids]


class Asker:
    """One keep-alive connection to a bid port; never opened a second time."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.connection.connect()
        self.connection.auto_open = 0  # a connection that was closed on us shows as an error

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def ask(self, body: Json | bytes, exchange: str = "generic") -> Answer:
        """Post one request. What it gets is something that nobody could object to."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.send("POST", f"/bid/{exchange}", raw, {"Content-Type": "application/json"})
        if answer.status != 404:
            wrong = objections(lint(raw, answer.body, status=answer.status, headers=answer.headers))
            assert not wrong, (wrong, raw, answer.body)
        return answer

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Any request at all."""
        self.connection.request(method, path, body, dict(headers or {}))
        answer = self.connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())


class Sizes:
    """Names get banner sizes, none twice."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._numbers: dict[str, int] = {}

    def of(self, name: str) -> tuple[int, int]:
        number = self._numbers.setdefault(name, len(self._numbers))
        return self._first + number % 1_000, HEIGHT + number // 1_000


def creative(name: str, size: tuple[int, int], **changes: Any) -> Json:
    """A banner that nobody blocks."""
    return {
        "id": f"{name}-banner",
        "type": "banner",
        "w": size[0],
        "h": size[1],
        "adm": MARKUP,
        "landing_url": "https://acme.example/",
        "adomain": ["acme.example"],
        "cat": ["IAB3"],
    } | changes


def campaign(name: str, size: tuple[int, int], **changes: Any) -> Json:
    """A campaign that accepts everything of its size. `creative`: changes of its banner."""
    banner = creative(name, size, **changes.pop("creative", {}))
    return {"id": name, "advertiser": "conformance", "bid": {"cpm_usd": CPM}, "creatives": [banner]} | changes


def request(size: tuple[int, int], patch: Mapping[str, Any]) -> Json:
    """A plain request for one banner of that size, with the patch merged in. `imp`: of the imp."""
    whole: Json = {"id": "req-1", "at": 1, "cur": ["USD"], "device": {"ua": "Mozilla/5.0", "ip": "198.51.100.7"}}
    imp = {"id": "1", "banner": {"format": [{"w": size[0], "h": size[1]}]}, "bidfloor": 0.01, "bidfloorcur": "USD"}
    parts = dict(patch)
    return merged(whole, {key: value for key, value in parts.items() if key != "imp"}) | {
        "imp": [merged(imp, parts.get("imp", {}))]
    }


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """Objects merged, everything else replaced; what is None in the patch is left out."""
    found = dict(base)
    for key, value in patch.items():
        old = found.get(key)
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            found[key] = merged(old if isinstance(old, dict) else {}, value)
        else:
            found[key] = value
    return found
