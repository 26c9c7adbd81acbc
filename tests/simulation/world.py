"""The world of one schedule: true time, the network, the steps of the plan, and what must hold after each of them.

advance(until) runs what is due (arrivals, commits, questions, restarts) in the order of true time, then a step acts.
Everything random comes from the plan's seed. Violated is raised at the first promise that does not hold.
"""

import contextlib
import heapq
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import psycopg2

from aggregator.fold import Loss
from aggregator.inbox import Ask, SourceKey
from aggregator.ledger import Batch
from bidder._fast.purses import Purses
from bidder.events.schema import Deltas, Resend
from bidder.money.leases import LeaseKeeper
from bidder.money.wire import LeaseState, LeaseSync
from bidder.settings import Money, Tracking
from bidder.tracking.notice import Lives
from tests.reference.bank import Bank, Campaign
from tests.simulation import checks
from tests.simulation.disk import Crash
from tests.simulation.exchange import SPEND_KIND, Bid, Message, fate
from tests.simulation.host import Host
from tests.simulation.mutations import NONE, Bugs, plant
from tests.simulation.plan import Plan, Step
from tests.simulation.wrong import goes_wrong

TIMEOUT_S = 5.0  # of a question to the controller
CAMPAIGN = 100  # key of the first
HEALING_S = 90.0
ROLES = ("supervisor", "worker", "tracker", "aggregator")


class Violated(Exception):
    """A promise does not hold; the message says which, and when."""


class World:
    """One schedule, from the start to the last check."""

    def __init__(
        self, plan: Plan, place: Path, counters: Sequence[Path], *, bugs: Bugs = NONE,
        bank: Callable[..., Any] = Bank, say: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.place, self.bugs = plan, place, bugs
        self.now = 0.0
        self.dice = random.Random(plan.seed ^ 0x5EED)
        self.fates = plan.fates
        self.lives = Lives.of(Tracking(), plan.release_after_s)
        self.skew = 0.0  # of the controller's clock
        self.jumped = False  # some clock did
        self.controller_up = True
        self.postgres_up = True
        self.bus_loses = 0.0
        self.crash_in_ledger: str | None = None
        self.crash_in_office: str | None = None
        self.bids: dict[bytes, Bid] = {}
        self.by_lease: dict[int, list[Bid]] = {}
        self.excused: dict[int, int] = {}  # lease -> late bills
        self.requests = 0
        self.sync_s = plan.sync_s
        self.windows: dict[tuple[str, int, int], Deltas] = {}
        self.lost_requests = 0  # counted, and in no window when their host lost its power
        self._say = say
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = 0
        self._checked = 0  # version of the bank
        self._unsent = 0  # messages that nobody has acknowledged
        self.bank = bank(
            SPEND_KIND,
            lambda: plan.start + self.now,
            Money(take_for_s=plan.take_for_s, settle_for_s=plan.settle_for_s, release_after_s=plan.release_after_s),
            page=plan.page,
        )
        plant(self.bank, bugs)
        self.limits = checks.Limits()
        for at, terms in enumerate(plan.campaigns):
            price = terms.price
            self.set_budget(
                Campaign(
                    CAMPAIGN + at, price, total=price * terms.total or None, daily=price * terms.daily or None,
                    hourly=price * terms.hourly or None, even=terms.even, timezone=terms.timezone,
                )
            )  # fmt: skip
        place.mkdir(parents=True)
        self.hosts = [Host(self, n, place / f"h{n}", counters[n]) for n in range(plan.hosts)]
        for n, host in enumerate(self.hosts):
            self.later(plan.sync_s * (n + 1) / len(self.hosts), self._turn, host)

    # -- time

    def later(self, seconds: float, deed: Callable[..., None], *what: Any) -> None:
        self._numbers += 1
        heapq.heappush(self._heap, (self.now + seconds, self._numbers, deed, what))

    def advance(self, until: float) -> None:
        """Run what is due."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, deed, what = heapq.heappop(self._heap)
            deed(*what)
        self.now = max(self.now, until)

    def run(self) -> None:
        """The whole schedule."""
        try:
            for step in self.plan.steps:
                self.advance(self.now + step.wait)
                self.act(step)
                checks.always(self)
            self.heal()
            checks.at_the_end(self)
        finally:
            shutil.rmtree(self.place)

    def heal(self) -> None:
        """Nothing fails any more, and everybody has time: then all that was promised must have come true."""
        self.say("everything heals")
        self.fates = self.fates._replace(lost=0.0, twice=0.0)
        self.crash_in_ledger = self.crash_in_office = None
        self.bus_loses = 0.0
        self.postgres_back()
        for host in self.hosts:
            host.reachable = True
            host.crash_in, host.crash_in_outbox = None, 0
            host.open_door, host.stalled = True, False
            if host.off:
                host.boot_again()
            for role in ROLES:
                self._up(host, role, host.boots)
            self.disk_works(host)
        self.controller_up = True
        late = 7.0 * self.plan.release_after_s
        self.sync_s = 300.0  # while there is nothing to do but to wait
        until = self.now + HEALING_S
        while self.now < until or self._unsent:
            if self.now > until + 4 * late:
                self.violated(f"{self._unsent} notices are not acknowledged although nothing fails")
            self.advance(self.now + 60.0)
        self.sync_s = 2.0
        for host in self.hosts:
            self._turn(host)
        self.advance(self.now + 60.0)
        for _ in range(12):
            self.advance(self.now + 2.0)
            for host in self.hosts:
                self._publish(host)
                host.pump()
        for _ in range(8):  # whatever is still on the bus, and asked for again
            self.advance(self.now + 5.0)
            for host in self.hosts:
                host.pump()
        checks.always(self)

    def say(self, text: str) -> None:
        if self._say is not None:
            self._say(f"{self.now:10.2f} s  {text}")

    def violated(self, what: str) -> NoReturn:
        raise Violated(f"seed {self.plan.seed}, {self.now:.2f} s: {what}")

    # -- steps

    def act(self, step: Step) -> None:
        what, by = step.what, step.by
        host = self.hosts[step.at % len(self.hosts)]
        if what == "bids":
            self._bids(host, step)
        elif what == "window":
            self._publish(host)
        elif what == "questions":  # as often as in production, for a few seconds
            for n in range(2 + int(by * 5)):
                for each in self.hosts:
                    self.later(0.5 * n + 0.1 * each.number, self._question, each)
        else:
            goes_wrong(self, step, host)

    def _bids(self, host: Host, step: Step) -> None:
        """A few, all of one campaign, at prices up to its dearest."""
        which = step.at % len(self.plan.campaigns)
        dearest = self.plan.campaigns[which].price
        if step.at % 3:
            host.tick()
        for n in range(1 + int(step.by * step.by * 20)):
            dice = random.Random(f"{self.plan.seed} {step} {n}")
            price = dearest if dice.random() < 0.6 else dice.randint(1, dearest)
            taken = host.take(CAMPAIGN + which, price)
            if taken is None:
                continue
            id, minute, lease, reserved = taken
            exchange = dice.choice((1, 1, 2))
            bid = Bid(id, host.number, exchange, CAMPAIGN + which, lease, price, reserved, minute, self.now)
            if self._say is not None:
                self.say(f"{host.name} bids {price} (lease {lease})")
            if dice.random() < 0.03:
                continue  # its worker dies before the answer is out, or nobody reads it
            self.bids[id] = bid
            self.by_lease.setdefault(lease, []).append(bid)
            for delay, message in fate(bid, self.plan.fates, self.plan.release_after_s, dice):
                self._unsent += 1
                self.later(delay, self._send, message, dice)

    def down(self, host: Host, role: str, seconds: float) -> None:
        """Killed, and started again by `outbid up` (or somebody) so much later."""
        if role == "worker":
            host.worker = None
        elif role == "supervisor":
            host.kill_supervisor()
        elif role == "tracker":
            host.kill_tracker()
        else:
            host.intake = None
        self.later(seconds, self._up, host, role, host.boots)

    def _up(self, host: Host, role: str, boots: int) -> None:
        if host.boots != boots or host.off:
            return
        if role == "worker" and host.worker is None:
            host.start_worker()
        elif role == "supervisor" and host.keeper is None:
            host.start_supervisor()
        elif role == "tracker" and host.tracker is None:
            host.start_tracker()
        elif role == "aggregator" and host.intake is None:
            host.start_aggregator()

    def reboot(self, host: Host, seconds: float) -> None:
        if not host.off:
            host.lose_power()
            host.off = True
            self.later(seconds, self._boots, host, host.boots)

    def _boots(self, host: Host, boots: int) -> None:
        if host.off and host.boots == boots:
            host.boot_again()

    def controller_starts(self) -> None:
        self.controller_up = True
        self.bank.forget()

    def postgres_back(self) -> None:
        if not self.postgres_up:
            self.postgres_up = True
            self.bank.forget()  # the controller has another connection

    def disk_works(self, host: Host) -> None:
        host.disk.fails = False
        if host.tracker is not None:
            host.tracker.hung = False
            host.tracker.probe()

    def budget_changes(self, step: Step) -> None:
        key = CAMPAIGN + step.at % len(self.plan.campaigns)
        campaign, price = self.bank.campaigns[key], self.plan.campaigns[key - CAMPAIGN].price
        by = 1 + int(step.by * 12)
        changed = {"hourly": price * by} if step.at % 2 else {"daily": price * 3 * by}
        self.set_budget(checks.changed(campaign, changed))

    def set_budget(self, campaign: Campaign) -> None:
        self.bank.put(campaign)
        self.limits.know(campaign)

    # -- notices

    def _send(self, message: Message, dice: random.Random) -> None:
        """One try. It is repeated until somebody has acknowledged it."""
        message.tries += 1
        host = self.hosts[message.bid.host]
        if dice.random() < self.fates.elsewhere or (message.tries > 3 and dice.random() < 0.5):
            host = dice.choice(self.hosts)
        arrived = dice.random() >= self.fates.lost and host.notice(message)
        if not message.acknowledged or dice.random() < self.fates.twice:
            self.later(min(300.0, (10.0 if arrived else 5.0) * 1.5**message.tries), self._again, message, dice)

    def _again(self, message: Message, dice: random.Random) -> None:
        if not message.acknowledged or dice.random() < self.fates.twice:
            self._send(message, dice)

    def acknowledge(self, message: Message, host: Host) -> None:
        """The tracker has said 204, whether or not that arrives."""
        bid = message.bid
        if message.kind not in bid.durable:
            bid.durable[message.kind] = self.now
            if message.kind == SPEND_KIND[bid.exchange]:
                bid.where = host.number
        if not message.acknowledged and self.dice.random() >= self.fates.lost:
            message.acknowledged = True
            self._unsent -= 1

    # -- leases

    def make_keeper(self, purses: Purses, clock: Callable[[], float]) -> LeaseKeeper:
        return LeaseKeeper(purses, release_after_s=self.plan.release_after_s, clock=clock)

    def _turn(self, host: Host) -> None:
        """Every `sync_s`."""
        self.later(self.sync_s, self._turn, host)
        self._question(host)

    def _question(self, host: Host) -> None:
        for each in self.hosts:
            each.pump()
        host.tick()
        self.ask(host)

    def ask(self, host: Host) -> None:
        """One question, unless one is under way."""
        keeper = host.keeper
        if keeper is None or host.asking:
            return
        host.questions += 1
        host.asking = number = host.questions
        self.later(TIMEOUT_S, self._give_up, host, number)
        complete = host.healthy and keeper.surveyed
        question = LeaseSync(
            host=host.name, healthy=complete, revision=self.bank.revision, held=[],
            ceilings=keeper.ceilings(host.mono()), seen=keeper.seen, wants=keeper.wants(host.mono()),
        )  # fmt: skip
        if host.reachable and self.dice.random() >= self.fates.lost:
            self.later(self._latency(), self._answer, host, number, msgspec.msgpack.encode(question), complete)

    def _latency(self) -> float:
        """Sometimes longer than anybody waits for it: a later question overtakes it then."""
        luck = self.dice.random()
        return 0.002 if luck < 0.9 else self.dice.uniform(0.0, 4.0 if luck < 0.96 else 20.0)

    def _give_up(self, host: Host, number: int) -> None:
        if host.asking == number:
            host.asking = 0

    def _answer(self, host: Host, number: int, question: bytes, complete: bool) -> None:
        """At the controller."""
        crash, self.crash_in_office = self.crash_in_office, None
        if not self.controller_up or not self.postgres_up or crash == "before":
            return
        wall = self.plan.start + self.now + self.skew
        open_before = {id for id, lease in self.bank.leases.items() if not lease.closed}
        state = self.bank.sync(msgspec.msgpack.decode(question, type=LeaseSync), wall)
        checks.closed(self, [id for id in open_before if self.bank.leases[id].closed])
        if self.bank.version != self._checked:
            self._checked = self.bank.version
            checks.budgets(self)
        if crash == "after":
            self.controller_starts()
        elif host.reachable and self.dice.random() >= self.fates.lost:
            self.later(self._latency(), self._told, host, number, msgspec.msgpack.encode(state), complete)

    def _told(self, host: Host, number: int, answer: bytes, complete: bool) -> None:
        host.hear(msgspec.msgpack.decode(answer, type=LeaseState), number, complete)

    @contextlib.contextmanager
    def watch(self, host: Host) -> Iterator[None]:
        """What this gives back, it may give back."""
        before = checks.lefts(host)
        yield
        checks.given_back(self, host, before)

    # -- Postgres

    def need_postgres(self) -> None:
        if not self.postgres_up:
            raise psycopg2.OperationalError("connection refused")

    def book(self, batch: Batch, crash: str | None) -> None:
        for notice in batch.notices:
            bid = self.bids.get(notice.bid_id)
            if bid is None:
                self.violated(f"a notice of bid {notice.bid_id.hex()} is read, which nobody sent")
            if notice.kind not in bid.heard:
                bid.heard[notice.kind] = self.now
                if notice.kind == SPEND_KIND[bid.exchange] and checks.is_late(self, bid):
                    self.excused[bid.lease] = self.excused.get(bid.lease, 0) + notice.price
        if self.bugs.move_first and crash == "before":
            self.bank.streams[batch.stream].position = batch.after
            raise Crash
        self.bank.commit(batch)

    def count(self, windows: Sequence[Deltas], losses: Sequence[Loss]) -> dict[SourceKey, int]:
        return self.bank.apply(windows, losses)

    # -- the bus

    def _publish(self, host: Host) -> None:
        window = host.close_window()
        if window is None:
            return
        for other in self.hosts:
            self._carry(window, other)

    def _carry(self, window: Deltas, to: Host) -> None:
        if self.dice.random() >= self.bus_loses:
            wait = 0.01 if self.dice.random() < 0.9 else self.dice.uniform(0.0, 20.0)
            self.later(wait, self._hear, to, msgspec.msgpack.encode(window))

    def _hear(self, host: Host, window: bytes) -> None:
        if host.intake is not None:
            host.inbox.offer(msgspec.msgpack.decode(window, type=Deltas), host.mono())

    def resend(self, to: Host, ask: Ask) -> None:
        """Upstream to the producer, which sends what it still has."""
        resend = Resend(b"again", ask.producer, ask.epoch, ask.first, ask.last)
        for host in self.hosts:
            if host.keeper is not None and host.outbox.producer == resend.producer:
                for message in host.outbox.messages(resend.epoch, resend.first, resend.last):
                    self._carry(msgspec.msgpack.decode(message, type=Deltas), to)
