"""A tracker in this process, on a real spool and a port of its own, for tests that speak HTTP to it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from bidder.events.schema import Notice
from bidder.events.spool import Spool, SpoolReader
from bidder.money.tokens import Opener, Sealer, Token, TokenClass, create_keys, load_keys, seal
from bidder.ops.log import get
from bidder.settings import SHIPPED_EXCHANGES, Tracking
from bidder.tracking.desk import Desk
from bidder.tracking.door import Door
from bidder.tracking.handlers import Shared, application
from bidder.tracking.notice import Lives

MINUTE = 30_000_000
CREATIVE = 8
LANDING = "https://acme.example/?a=1&b=2"
LANDINGS = {CREATIVE: LANDING}


class Disk:
    """fdatasync that can be held back, or refuse."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.error: OSError | None = None

    def sync(self, descriptor: int) -> None:
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error


class House(NamedTuple):
    """A tracker on a port of its own, and what stands around it."""

    url: str
    desk: Desk
    spool: Spool
    disk: Disk
    directory: Path
    sealer: Sealer

    def token(self, n: int = 1, cls: TokenClass = TokenClass.NOTICE, **fields: int) -> str:
        bid_id = MINUTE.to_bytes(4, "big") + n.to_bytes(8, "big")
        token = Token(bid_id, **{"exchange": 1, "creative": CREATIVE, "bid_price": 2_400_000, "lease": 3} | fields)
        return seal(self.sealer, cls, token)

    def opened(self, token: str, cls: TokenClass) -> Token:
        found = Opener(load_keys(self.directory.parent / "token.keys")).open(token, cls)
        assert found is not None
        return found

    async def fetch(self, path: str, method: str = "GET") -> HTTPResponse:
        return await AsyncHTTPClient().fetch(
            self.url + path, method=method, raise_error=False, follow_redirects=False, allow_nonstandard_methods=True
        )

    async def always(self, path: str, body: bytes, content_type: str) -> None:
        """It is answered so each time, and no cache keeps it."""
        for _ in range(2):
            answer = await self.fetch(path)
            assert (answer.code, answer.body) == (HTTPStatus.OK, body)
            assert answer.headers["Content-Type"] == content_type
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Etag" not in answer.headers

    def written(self) -> list[Notice]:
        return read_all(self.directory)

    def flags(self) -> list[tuple[int, int]]:
        return [(notice.kind, notice.flags) for notice in self.written()]


def read_all(spool: Path) -> list[Notice]:
    """Every notice that a spool holds and that cannot be lost any more."""
    reader, position = SpoolReader(spool), 0
    found: list[Notice] = []
    while True:
        notices, position = reader.read(position, 1 << 16)
        if not notices:
            return found
        found += [notice for _, notice in notices]


@asynccontextmanager
async def house(
    tmp_path: Path, tracking: Tracking | None = None, landings: Mapping[int, str] = LANDINGS, **options: object
) -> AsyncIterator[House]:
    """`options`: of the desk."""
    keys = create_keys(tmp_path / "token.keys")
    disk = Disk()
    spool = Spool(tmp_path / "spool", sync=disk.sync)
    log = get("tracker")
    options.setdefault("wall_ms", lambda: MINUTE * 60_000 + 1_000)
    lives = Lives.of(tracking or Tracking(token_ttl_s=3_600), 600)
    desk = Desk(spool, SHIPPED_EXCHANGES, lives, log, **options)  # type: ignore[arg-type]
    desk.use(keys)

    async def landing(creative: int) -> str | None:
        return landings.get(creative)

    shared = Shared(desk, landing, log)
    server = HTTPServer(Door(shared, application(shared)))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        yield House(url, desk, spool, disk, tmp_path / "spool", Sealer(keys))
    finally:
        server.stop()
        await server.close_all_connections()
        AsyncHTTPClient().close()
        disk.gate.set()
        spool.close()


def play(tmp_path: Path, scene: Callable[[House], Awaitable[None]], **options: Any) -> None:
    """The scene in a house of its own."""

    async def main() -> None:
        async with asyncio.timeout(20), house(tmp_path, **options) as built:
            await scene(built)

    asyncio.run(main())
