"""Delivery over a day: what hosts that share budgets spend, against what they should. `scripts/simulate --delivery`.

Keepers, purses, wants and pacing are production, the office's shares too; Postgres is tests/reference/bank.py. One
campaign is even over its day, one as fast as possible; traffic is 2.5 times what the even one needs, and swings by half
over the day. Of bids 30 % win, at 50 to 100 % of their price; of the others 80 % are told as lost. Notices take the
delay of the table, and up to half as long again. With faults, once an hour: Postgres is away for 30 s, an aggregator
stands still for 60 s, a supervisor is killed; and every six hours a host reboots and is away for two minutes.
Money: int nano-USD. Times: true seconds; `questions` are asked every two seconds, which in production is half a second.
"""

import heapq
import math
import multiprocessing
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from aggregator.ledger import Batch
from bidder._fast.purses import Purses
from bidder.events.schema import Notice, NoticeKind
from bidder.money.leases import LeaseKeeper
from bidder.money.wire import LeaseState, LeaseSync
from bidder.settings import Money
from tests.market import poisson
from tests.reference.bank import Bank, Campaign
from tests.simulation.run import Place

START = 1_773_100_800  # midnight, UTC
PRICE = 2_400_000
EVEN, FAST = 100, 101
WINS = 20_000  # a day, of the even one
WIN_RATE, LOSS_TOLD, PAID = 0.3, 0.8, 0.75
SUPPLY = 2.5
DAILY = {EVEN: int(WINS * PRICE * PAID), FAST: int(WINS * PRICE * PAID / 4)}
QUESTION_S, TICK_S = 2, 1
HOUR = 3_600
DELAYS, HOSTS = (0, 1, 10, 60), (1, 4, 16)


class Case(NamedTuple):
    """One line of the table."""

    hosts: int
    delay_s: int
    faults: bool
    hours: float


class Outcome(NamedTuple):
    """In percent of the daily budget, of the worse campaign; RMSE of the even one's hours in percent of their plan."""

    case: Case
    overspend: float
    under: float
    rmse: float
    lag_s: float
    lease: float  # the largest lease that was out, of its budget


class Node:
    """One host."""

    def __init__(self, number: int, place: Path, day: "Day") -> None:
        self.name, self.day, self._path = f"host-{number}", day, place / f"purses-{number}"
        self.boots, self.booted_at, self.away_until, self.bids = 1, 0.0, 0.0, 0
        self.number = number
        self.start()

    def start(self) -> None:
        """The supervisor, with the purses of this boot."""
        self.purses = Purses(self._path, 4, boot=self.boots.to_bytes(16, "big"))
        self.keeper = LeaseKeeper(self.purses, release_after_s=Money().release_after_s, clock=self.wall)
        self.slots = {campaign: self.purses.slot_of(campaign) for campaign in DAILY}
        self._taken: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {}

    def wall(self) -> float:
        return START + self.day.now

    def ask(self) -> None:
        """A question and its answer."""
        keeper, now = self.keeper, self.day.now - self.booted_at
        healthy = keeper.surveyed
        question = LeaseSync(
            self.name, healthy, self.day.bank.revision, [], keeper.ceilings(now), keeper.seen, keeper.wants(now)
        )
        if self.day.now < self.day.postgres_away_until:
            return
        state: LeaseState = self.day.bank.sync(question, self.wall())
        keeper.apply(state, now, complete=healthy)
        keeper.tick(now)
        self._watch()

    def _watch(self) -> None:
        """How long after its time did what was silent come back?"""
        for slot in self.slots.values():
            for which in (0, 1):
                half = self.purses.half(slot, which)
                lease, taken = self._taken.get((slot, which), (0, ()))
                if taken and lease == abs(half.lease) and taken != half.taken:
                    minute = int(self.wall() // 60)
                    for at in range(16):
                        if taken[at] and not half.taken[at]:
                            since = minute - (minute - at) % 16
                            lag = self.wall() - 60 * (since + 1) - Money().release_after_s
                            self.day.lag = max(self.day.lag, lag)
                self._taken[slot, which] = (abs(half.lease), half.taken)

    def request(self, campaign: int, dice: random.Random) -> None:
        """Throttle, reserve, and what becomes of the bid."""
        purse = self.purses.purse(self.slots[campaign])
        if dice.getrandbits(32) > purse.throttle:
            return
        price = PRICE * purse.multiplier >> 16
        minute = int(self.wall() // 60)
        taken = self.purses.take(self.slots[campaign], price, minute)
        if taken is None:
            return
        self.bids += 1
        id = minute.to_bytes(4, "big") + bytes((0, 0, 0, self.number, self.boots)) + self.bids.to_bytes(3, "big")
        luck = dice.random()
        kind = NoticeKind.BILL if luck < WIN_RATE else NoticeKind.LOSS
        if luck >= WIN_RATE + (1 - WIN_RATE) * LOSS_TOLD:
            return  # nobody says a word
        paid = int(price * dice.uniform(2 * PAID - 1, 1)) if kind == NoticeKind.BILL else price
        arrives = self.day.now + self.day.case.delay_s * dice.uniform(1.0, 1.5)
        received = int((START + arrives) * 1_000)
        notice = Notice(kind, 0, id, received, paid, 0, 1, *[0] * 6, campaign, 1, 0, 0, taken[0], price, taken[1])
        heapq.heappush(self.day.notices, (arrives, len(self.day.notices), dice.randrange(self.day.case.hosts), notice))


class Day:
    """One case."""

    def __init__(self, case: Case, place: Path) -> None:
        self.case = case
        self.now = 0.0
        self.lag = 0.0
        self.lease = 0.0
        self.postgres_away_until = 0.0
        self.notices: list[tuple[float, int, int, Notice]] = []
        self.bank = Bank({1: NoticeKind.BILL}, lambda: START + self.now, Money())
        for key, daily in DAILY.items():
            self.bank.put(Campaign(key, PRICE, daily=daily, even=key == EVEN))
        place.mkdir()
        self.nodes = [Node(n, place, self) for n in range(case.hosts)]
        self._spool: list[list[Notice]] = [[] for _ in self.nodes]
        self._stalled_until = [0.0] * case.hosts
        self._dice = random.Random(f"{case}")

    def run(self) -> Outcome:
        """Second by second."""
        average = SUPPLY * WINS / WIN_RATE / 86_400
        spent_at: list[dict[int, int]] = []
        end = int(self.case.hours * HOUR)
        for second in range(end):
            self.now = float(second)
            if self.case.faults:
                self._faults(second)
            rate = average * (1 + 0.5 * math.sin(2 * math.pi * second / 86_400))
            for campaign in DAILY:
                for _ in range(poisson(self._dice, rate)):
                    node = self.nodes[self._dice.randrange(len(self.nodes))]
                    if self.now >= node.away_until:
                        node.request(campaign, self._dice)
            self._book()
            for node in self.nodes:
                if self.now < node.away_until:
                    continue
                if (second + node.number) % QUESTION_S == 0:
                    node.ask()
                node.keeper.pace(self.now - node.booted_at)
            if (second + 1) % HOUR == 0 or second + 1 == end:
                spent_at.append(self._spent())
        self._drain()
        return self._outcome(spent_at)

    def _faults(self, second: int) -> None:
        into, hour = second % HOUR, second // HOUR
        which = hour % len(self.nodes)
        if into == 600:
            self.postgres_away_until = self.now + 30
        elif into == 630:
            self.bank.forget()
        elif into == 1_500:
            self._stalled_until[which] = self.now + 60
        elif into == 2_400:
            self.nodes[which].start()
        elif into == 3_000 and hour % 6 == 3:
            node = self.nodes[which]
            node.away_until = self.now + 120
            node.boots += 1
        elif into == 3_120 and hour % 6 == 3:
            node = self.nodes[which]
            node.booted_at = self.now
            node.start()

    def _book(self) -> None:
        """Notices land on some host, whose aggregator books them unless it stands still."""
        while self.notices and self.notices[0][0] <= self.now:
            _, _, at, notice = heapq.heappop(self.notices)
            self._spool[at].append(notice)
        if self.now < self.postgres_away_until:
            return
        for at, spool in enumerate(self._spool):
            if self.now < self._stalled_until[at]:
                continue
            stream = f"{at:016x}"
            before = self.bank.position(stream)
            self.bank.commit(Batch(stream, before, before + len(spool), spool, 0.0))
            self._spool[at] = []

    def _drain(self) -> None:
        self.now += self.case.delay_s * 1.5 + 1
        self._stalled_until, self.postgres_away_until = [0.0] * self.case.hosts, 0.0
        self._book()

    def _spent(self) -> dict[int, int]:
        found = dict.fromkeys(DAILY, 0)
        for lease in self.bank.leases.values():
            found[lease.campaign] += self.bank.spent(lease.id)
            if self.case.hosts > 1 and not lease.closed:
                self.lease = max(self.lease, lease.amount / DAILY[lease.campaign])
        return found

    def _outcome(self, spent_at: list[dict[int, int]]) -> Outcome:
        spent = self._spent()
        share = self.case.hours / 24
        over = max((spent[key] - DAILY[key]) / DAILY[key] for key in DAILY)
        under = max((DAILY[EVEN] * share - spent[EVEN]) / DAILY[EVEN], (DAILY[FAST] - spent[FAST]) / DAILY[FAST])
        plan = DAILY[EVEN] / 24
        hours = [b[EVEN] - a[EVEN] for a, b in zip([dict.fromkeys(DAILY, 0), *spent_at], spent_at, strict=False)]
        rmse = math.sqrt(sum((hour / plan - 1) ** 2 for hour in hours) / len(hours))
        return Outcome(self.case, *(100 * max(0.0, each) for each in (over, under, rmse)), self.lag, 100 * self.lease)


def simulate(case: Case) -> Outcome:
    """One line, in a place of its own."""
    place = Place()
    try:
        return Day(case, place.fresh()).run()
    finally:
        place.erase()


def lines(outcomes: Iterable[Outcome]) -> list[str]:
    """A table, as docs/money.md has it."""
    found = [
        "| hosts | notice delay, s | faults | overspend, % of the day | under-delivery, % | hourly plan RMSE, %"
        " | longest release lag, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in sorted(outcomes, key=lambda outcome: (outcome.case.faults, outcome.case.hosts, outcome.case.delay_s)):
        case = each.case
        found.append(
            f"| {case.hosts} | {case.delay_s} | {'yes' if case.faults else 'no'} | {each.overspend:.3f} |"
            f" {each.under:.2f} | {each.rmse:.1f} | {each.lag_s:.0f} |"
        )
    return found


def holds(outcome: Outcome) -> bool:
    """The promises of docs/money.md."""
    return outcome.overspend <= (1 + outcome.lease * outcome.case.hosts if outcome.case.faults else 0.1)


def table(hours: float, processes: int) -> int:
    """All cases; 1 where one overspends more than it may."""
    cases = [Case(h, delay, faults, hours) for faults in (False, True) for h in reversed(HOSTS) for delay in DELAYS]
    begun = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        outcomes = []
        for outcome in pool.imap_unordered(simulate, cases):
            outcomes.append(outcome)
            print(f"[{time.monotonic() - begun:6.1f} s] {outcome}", flush=True)
    print("\n".join(lines(outcomes)))
    return 0 if all(map(holds, outcomes)) else 1
