"""Keeps a host's leases in step with the controller: asks, and applies the answer. No SQL here."""

import asyncio
import struct
import time
from collections.abc import Callable

import msgspec
import tornado.httpclient

from bidder.money.leases import LeaseKeeper
from bidder.money.shading import STEPS, Shading
from bidder.money.wire import LeaseState, LeaseSync, Shades
from bidder.ops import log as logs

TIMEOUT_S = 5.0  # an hour that begins or ends for thousands of campaigns takes a second or two an answer
TICK_S = 0.5
PAUSE_S = 0.05  # between questions, at least


class LeaseSyncer:
    """Asks the controller at `url` every `every_s` seconds, applies what it says, and turns the keeper's clock.

    `healthy`: may this host's notices be acknowledged now? `revision`: of the book that is served.
    `shading`: kept as the controller has it.
    While the controller is away the keeper lives on what it has, and gives nothing back.
    """

    def __init__(
        self, keeper: LeaseKeeper, host: str, url: str, every_s: float, healthy: Callable[[], bool],
        revision: Callable[[], int], shading: Shading,
    ) -> None:  # fmt: skip
        self._keeper = keeper
        self._host = host
        self._url = f"{url}/leases/sync"
        self._every_s = every_s
        self._healthy = healthy
        self._revision = revision
        self._client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        self._log = logs.get("supervisor")
        self._shading = shading
        self._shades = ""  # version of what `shading` has
        self._away = False
        self._renewed_at = time.monotonic()

    @property
    def age_s(self) -> float:
        """Since the controller last said what leases there are."""
        return time.monotonic() - self._renewed_at

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(self._ask(), self._tick())

    async def _tick(self) -> None:
        """Leases open and shut in time while the controller is slow, too."""
        while True:
            self._keeper.tick(time.monotonic())
            await asyncio.sleep(TICK_S)

    async def _ask(self) -> None:
        while True:
            started = time.monotonic()
            more = await self._sync()
            wait_s = 0.0 if more else self._every_s - (time.monotonic() - started)
            await asyncio.sleep(max(PAUSE_S, wait_s))

    async def _sync(self) -> bool:
        """Ask once; True: there is more to be heard."""
        healthy = self._healthy() and self._keeper.surveyed
        question = LeaseSync(
            host=self._host,
            healthy=healthy,
            revision=self._revision(),
            held=[],
            ceilings=self._keeper.ceilings(time.monotonic()),
            seen=self._keeper.seen,
            wants=self._keeper.wants(time.monotonic()),
            shades=self._shades,
        )
        try:
            answer = await self._client.fetch(
                self._url, method="POST", body=msgspec.msgpack.encode(question), request_timeout=TIMEOUT_S
            )
            state = msgspec.msgpack.decode(answer.body, type=LeaseState)
        except (tornado.httpclient.HTTPClientError, OSError, msgspec.DecodeError) as error:
            if not self._away:
                self._log.warning("leases cannot be renewed; bidding goes on with those there are", error=str(error))
            self._away = True
            return False
        if self._away:
            self._log.info("leases are renewed again")
        self._away = False
        self._renewed_at = time.monotonic()
        self._keeper.apply(state, time.monotonic(), complete=healthy)
        self._keeper.tick(time.monotonic())
        if state.shades is not None:
            self._shade(state.shades)
        return state.more

    def _shade(self, shades: Shades) -> None:
        """For the workers, who look into the same file."""
        for key, packed in shades.classes:
            if not self._shading.put(key, struct.unpack(f"<{STEPS}H", packed)):
                self._log.warning("there is no room for more classes of placements: the others are not shaded")
                break
        self._shading.keep([key for key, _ in shades.classes])
        self._shades = shades.version
