"""One process of the exchange: requests at their intended times, auctions, and what follows from a win.

schedule (Poisson, seeded) -> bid connections -> answer -> auction -> courier: nurl, lurl | page: pixel, burl, click
Open loop: a request is due when the schedule says so, whatever became of those before; its latency counts from
then, so it includes the timer's millisecond and any wait for a connection. Times inside: monotonic ns.
Randomness is drawn per request, from the seed and its number: answers may overtake each other.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from bidder.simulator import page
from bidder.simulator.auction import Loss, Offer, Outcome, decide, macros, read
from bidder.simulator.connections import Answer, Failure, Pool
from bidder.simulator.courier import BILL, CLICK, Courier
from bidder.simulator.critic import Critic
from bidder.simulator.macros import fill
from bidder.simulator.options import DEFAULT_SECONDS, Options, PlayError
from bidder.simulator.source import Asked, ask
from bidder.simulator.summary import Side, Summary

NS = 1_000_000_000
TICK_S = 0.001  # the loop's timers are no finer
TIMEOUT_S = 10.0  # for an answer; long after its deadline, so that what is only late is told from what is lost
MORE_CONNECTIONS = 10  # times as many as asked for, at most
BACKLOG_S = 5.0  # of requests that may wait for a connection


class Script(NamedTuple):
    """Bodies, and which requests of the play this process sends: first, first + step, ..."""

    bodies: Sequence[bytes]
    first: int
    step: int


class Player:
    """Made and run within its loop."""

    def __init__(self, options: Options, script: Script) -> None:
        self.options = options
        self._summary = Summary()
        self._script = script
        self._asked = [ask(body) for body in script.bodies]
        address = options.address
        if address is None:
            raise PlayError(f"--url {options.url}: not on this machine")
        self._door = f"http://{address.host}:{address.port}"
        head = (
            f"POST {address.target} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
            "Content-Type: application/json\r\nx-openrtb-version: 2.6\r\nContent-Length: "
        ).encode()
        self._payloads = [b"%b%d\r\n\r\n%b" % (head, len(body), body) for body in script.bodies]
        self._gaps = random.Random(f"gaps {options.seed} {script.first}")
        self._rate = options.rate / script.step
        self._bids = Pool(
            address.host,
            address.port,
            size=options.connections,
            most=options.connections * MORE_CONNECTIONS,
            backlog=max(100, int(self._rate * BACKLOG_S)),
            timeout_s=TIMEOUT_S,
        )
        self._courier = Courier(options, random.Random(f"courier {options.seed} {script.first}"))
        self._critic = Critic(options.exchange, self._rate, options.lint_per_s)
        self._loop = asyncio.get_running_loop()
        self._finished = asyncio.Event()
        self._sent = 0
        self._answers = 0
        self._started = self._next = self._until = 0
        self._cpu_before_s = 0.0
        self._share = None if options.requests is None else len(range(script.first, options.requests, script.step))

    async def open(self) -> None:
        """Connections; PlayError where nobody listens."""
        try:
            await self._bids.open()
        except OSError as error:
            raise PlayError(f"nobody listens at {self._door} ({error.strerror}); `outbid up` starts a bidder") from None

    async def run(self) -> Summary:
        """Send, wait for every answer and every acknowledgement, close."""
        seconds = self.options.seconds if self.options.seconds or self.options.requests else DEFAULT_SECONDS
        self._cpu_before_s = time.process_time()
        self._started = time.monotonic_ns()
        self._until = self._started + int(seconds * NS) if seconds else 0
        self._next = self._started + self._gap()
        self._tick()
        await self._finished.wait()
        while self._answers < self._sent:
            await asyncio.sleep(0.01)
        await self._courier.drain()
        summary = self.summary()
        await self._bids.close()
        await self._courier.close()
        return summary

    def stop(self) -> None:
        """Send no more requests."""
        if not self._finished.is_set():
            self._summary.seconds = (time.monotonic_ns() - self._started) / NS
            self._finished.set()

    def summary(self) -> Summary:
        """As it is now."""
        self._summary.notices = self._courier.counts
        self._summary.sent = self._sent
        self._summary.linted = self._critic.judged
        self._summary.violations, self._summary.warnings = self._critic.errors, self._critic.warnings
        self._summary.closed_connections = self._bids.closed_by_peer + self._courier.closed_by_peer
        self._summary.cpu_s = time.process_time() - self._cpu_before_s
        if not self._finished.is_set():
            self._summary.seconds = (time.monotonic_ns() - self._started) / NS
        return self._summary

    @property
    def underway(self) -> tuple[int, int]:
        """Requests and notices without an answer."""
        return self._sent - self._answers, self._courier.open

    def _gap(self) -> int:
        return int(self._gaps.expovariate(self._rate) * NS)

    def _tick(self) -> None:
        """Send all that is due."""
        now = time.monotonic_ns()
        while self._next <= now and not self._finished.is_set():
            if self._sent == self._share or (self._until and self._next >= self._until):
                break
            self._send(self._next)
            self._next += self._gap()
        else:
            if not self._finished.is_set():
                self._loop.call_later(max(TICK_S, (self._next - now) / NS), self._tick)
                return
        self.stop()

    def _send(self, intended: int) -> None:
        number = self._script.first + self._sent * self._script.step
        which = number % len(self._payloads)
        self._sent += 1
        done = partial(self._answered, number, which, intended, time.monotonic_ns())
        self._bids.send(self._payloads[which], done)

    def _answered(self, number: int, which: int, intended: int, sent: int, answer: Answer | Failure) -> None:
        now = time.monotonic_ns()
        summary, asked = self._summary, self._asked[which]
        self._answers += 1
        if isinstance(answer, Failure):
            summary.errors[answer.value] += 1
            return
        side = summary.test if asked.test else summary.real
        side.status[answer.status] += 1
        summary.latency.add((now - intended) // 1_000)
        summary.service.add((now - sent) // 1_000)
        late = (now - intended) / 1e6 > self.options.deadline_ms
        summary.late += late
        self._critic.hear(self._script.bodies[which], answer)
        if answer.status == 200:
            self._auction(number, side, asked, answer.body, late)

    def _auction(self, number: int, side: Side, asked: Asked, body: bytes, late: bool) -> None:
        offer = read(asked, body)
        if isinstance(offer, str):
            self._summary.invalid[offer] += 1
            return
        dice = random.Random(self.options.seed << 48 ^ number)
        for outcome in decide(asked, offer, dice, self.options.win_median_cpm, late):
            side.of(outcome.bid.cid or "").bids += 1
            if outcome.loss is Loss.WON:
                self._won(side, asked, offer, outcome, dice)
            else:
                self._lost(asked, offer, outcome)

    def _lost(self, asked: Asked, offer: Offer, outcome: Outcome) -> None:
        self._summary.losses[str(int(outcome.loss))] += 1
        if outcome.broken:
            self._summary.invalid[outcome.broken] += 1
        if outcome.bid.lurl:
            self._courier.post("lurl", fill(outcome.bid.lurl, macros(asked, offer, outcome), in_url=True))

    def _won(self, side: Side, asked: Asked, offer: Offer, outcome: Outcome, dice: random.Random) -> None:
        """The win notice, and the page that shows the ad."""
        bid, tally, courier = outcome.bid, side.of(outcome.bid.cid or ""), self._courier
        values = macros(asked, offer, outcome)
        tally.wins += 1
        if bid.nurl:
            courier.post("nurl", fill(bid.nurl, values, in_url=True))
        if not bid.burl:  # who has no billing notice is billed for the win
            tally.spend_nano_usd += outcome.price
        if dice.random() >= self.options.rendered:
            return
        if bid.burl:
            tally.spend_nano_usd += outcome.price
            courier.post(BILL, fill(bid.burl, values, in_url=True))
        shown = page.read(fill(bid.adm or "", values, in_url=False))
        tally.impressions += 1
        for image in shown.images:
            courier.load(image)
        if shown.links and dice.random() < self.options.click_rate:
            tally.clicks += 1
            courier.post(CLICK, shown.links[0])
