"""A bidder and tracker of a few lines, for the simulated exchange to play to: honest books, and faults on demand.

async with small_bidder() as bidder: bidder.url; bidder.seen["bill"]; bidder.faults.append(503)
It bids `price` on every imp, sends to itself, and answers 400 to a token that it did not make.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

CUT = 0  # a fault: the connection ends instead of an answer
TOKEN = "genuine-token-of-bid-{}-0123456789"
REASONS = {200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request", 404: "Not Found", 503: "Unavailable"}


class SmallBidder:
    """What it was asked, and what it was told."""

    def __init__(self, price: str = "2.5") -> None:
        self.price = price
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = 0
        self.seen: dict[str, Counter[str]] = {}  # kind of notice -> token -> times
        self.prices: dict[str, str] = {}  # token -> price of the bill
        self.loss_reasons: Counter[str] = Counter()
        self.forged = 0
        self.faults: list[int] = []  # statuses that the next notices get instead of their answer
        self.open = asyncio.Event()  # bid requests are answered while it is set
        self.open.set()
        self._made: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                body = await reader.readexactly(int(fields.get(b"Content-Length", b"0")))
                status, answer, location = await self._answer(head.split(b" ", 2)[1].decode(), body)
                if status == CUT:
                    break
                writer.write(_response(status, answer, location))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, target: str, body: bytes) -> tuple[int, bytes, str]:
        parts = urlsplit(target)
        _, kind, token = parts.path.split("/")
        if kind == "bid":
            self.requests.append(body)
            await self.open.wait()
            return (*self._bid(body), "")
        if token not in self._made:
            self.forged += 1
            return 400, b"", ""
        if self.faults:
            return self.faults.pop(0), b"", ""
        query = parse_qs(parts.query)
        self.seen.setdefault(kind, Counter())[token] += 1
        if kind == "bill":
            self.prices[token] = query["price"][0]
        if kind == "loss":
            self.loss_reasons[query["reason"][0]] += 1
        status = {"imp": 200, "click": 302}.get(kind, 204)
        return status, b"GIF" if kind == "imp" else b"", "https://www.acme.example/" if kind == "click" else ""

    def _bid(self, body: bytes) -> tuple[int, bytes]:
        try:
            request = json.loads(body)
        except ValueError:
            return 400, b""
        if not request.get("imp"):
            return 204, b""
        bids = ",".join(self._one(imp["id"]) for imp in request["imp"])
        return 200, f'{{"id":{json.dumps(request["id"])},"seatbid":[{{"bid":[{bids}]}}]}}'.encode()

    def _one(self, imp: str) -> str:
        token = TOKEN.format(len(self._made))
        self._made.add(token)
        adm = (
            f'<a href="{self.url}/click/{token}"><img src="https://cdn.acme.example/a.png"></a>'
            f'<img src="{self.url}/imp/{token}" width="1" height="1">'
        )
        notices = {
            "nurl": f"{self.url}/win/{token}?price=${{AUCTION_PRICE}}",
            "burl": f"{self.url}/bill/{token}?price=${{AUCTION_PRICE}}",
            "lurl": f"{self.url}/loss/{token}?reason=${{AUCTION_LOSS}}",
        }
        names = {"cid": "c-1", "crid": "cr-1", "adomain": ["acme.example"], "mtype": 1}
        bid = {"id": token, "impid": imp, "adm": adm, **names, **notices}
        return f'{json.dumps(bid)[:-1]},"price":{self.price}}}'


def _response(status: int, body: bytes, location: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS[status]}"]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    if status == 200:
        lines.append("Content-Type: application/json")
    if location:
        lines.append(f"Location: {location}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextlib.asynccontextmanager
async def small_bidder(price: str = "2.5") -> AsyncIterator[SmallBidder]:
    """One that listens on a port of its own until the block ends."""
    bidder = SmallBidder(price)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(bidder.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    bidder.url = f"http://{host}:{port}"
    try:
        yield bidder
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
