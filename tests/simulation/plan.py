"""Plans: one number becomes a schedule of faults, as data: who there is, what goes wrong how often, and the steps.

plan(seed) -> Plan -> tests/simulation/world.py. Steps name hosts, campaigns and lengths by numbers taken modulo what
there is, so any of them may be left out and the rest is still a schedule: that is how a failing one is made shorter.
Each seed has faults of its own (most plans lack most kinds), so that rare ones also meet alone. Times: seconds.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

STARTS = (  # wall clocks to begin at: a plain morning, ends of days, nights in which clocks change in New York
    1_773_136_800, 1_773_100_500, 1_772_950_500, 1_793_507_400, 1_793_511_900,
)  # fmt: skip
ZONES = ("UTC", "America/New_York", "Asia/Kolkata")
QUESTIONS = (20, 40, 100)  # that a host asks in a schedule: few, so that schedules are cheap
FAULTS = {  # kind of step: its weight where a plan has it
    "kill worker": 3, "kill supervisor": 3, "kill tracker": 3, "kill aggregator": 3, "kill controller": 2,
    "reboot host": 2, "Postgres away": 2, "aggregator stalls": 2, "partition": 2, "tracker unreachable": 2,
    "clock of a host jumps": 2, "clock of the controller jumps": 1, "disk fails": 1, "disk hangs": 1,
    "crash in a commit": 3, "crash in the aggregator": 3, "crash in the outbox": 2, "crash in the office": 2,
    "budget changes": 2, "bus loses": 2,
}  # fmt: skip


class Step(NamedTuple):
    """`wait` seconds pass, then `what` happens: to which (`at`), and how long or how much (`by`, 0 to 1)."""

    wait: float
    what: str
    at: int
    by: float

    def __str__(self) -> str:
        return f"after {self.wait:.1f} s: {self.what} (#{self.at}, {self.by:.3f})"


class Fates(NamedTuple):
    """How often the network and the exchange do what, 0 to 1."""

    lost: float  # requests and answers of any kind
    twice: float  # notices that come again although they were acknowledged
    elsewhere: float  # notices that land on another host
    slow: float  # notices that take minutes
    late: float  # notices that come after the reservation's time, up to hours
    contrary: float  # bids that are told lost, and billed


@dataclass(frozen=True)
class Terms:
    """One campaign: the dearest bid, and budgets as multiples of it (0: none)."""

    price: int
    hourly: int
    daily: int
    total: int
    even: bool
    timezone: str


@dataclass(frozen=True)
class Plan:
    """One schedule."""

    seed: int
    start: int  # wall clock
    hosts: int
    campaigns: tuple[Terms, ...]
    fates: Fates
    sync_s: float  # between questions of a host
    page: int  # leases in one answer
    release_after_s: int
    settle_for_s: int
    take_for_s: int
    steps: tuple[Step, ...]


def _wait(dice: random.Random, pace: float) -> float:
    """Mostly moments, sometimes minutes, rarely most of an hour."""
    luck = dice.random()
    if luck < 0.6:
        return dice.uniform(0.0, 2.0) * pace
    if luck < 0.95:
        return dice.uniform(2.0, 90.0) * pace
    return dice.uniform(90.0, 2_400.0) * pace


def plan(seed: int) -> Plan:
    """The schedule of this seed, always the same."""
    dice = random.Random(seed)
    faults = {kind: weight * dice.random() for kind, weight in FAULTS.items() if dice.random() < 0.35}
    total = sum(faults.values())
    often = dice.choice((0.05, 0.15, 0.3)) if faults else 0.0
    pace = dice.choice((0.3, 1.0, 1.0, 2.0))
    steps = []
    for _ in range(dice.randint(30, 120)):
        if dice.random() < often:
            what = dice.choices([*faults], [weight / total for weight in faults.values()])[0]
        else:
            what = dice.choices(("bids", "questions", "window"), (12, 3, 2))[0]
        steps.append(Step(round(_wait(dice, pace), 3), what, dice.randrange(1_000), round(dice.random(), 6)))
    release_after_s = dice.choice((120, 600, 600))
    rare = dice.choice((0.0, 0.0, 0.1, 0.3))
    return Plan(
        seed=seed,
        start=dice.choice(STARTS) + dice.randrange(3_600),
        hosts=dice.choice((1, 1, 2, 2, 3, 4)),
        campaigns=tuple(_terms(dice) for _ in range(dice.choice((1, 1, 2, 3)))),
        fates=Fates(
            lost=dice.choice((0.0, 0.05, 0.3)),
            twice=dice.choice((0.0, 0.1, 0.5)),
            elsewhere=dice.choice((0.0, 0.2, 0.7)),
            slow=dice.choice((0.0, 0.1, 0.4)),
            late=rare,
            contrary=dice.choice((0.0, 0.0, 0.05)),
        ),
        sync_s=min(300.0, max(0.5, sum(step.wait for step in steps) / dice.choice(QUESTIONS))),
        page=dice.choice((1, 2, 4_000)),
        release_after_s=release_after_s,
        settle_for_s=dice.choice((release_after_s + 120, 1_800)),
        take_for_s=dice.choice((3_600, 3_600, 900)),
        steps=tuple(steps),
    )


def _terms(dice: random.Random) -> Terms:
    hourly = dice.choice((0, 3, 10, 30, 100))
    daily = dice.choice((0, 5, 20, 60, 200)) if hourly else dice.choice((5, 20, 60, 200))
    return Terms(
        price=dice.choice((1, 1_000, 2_400_000)),
        hourly=hourly,
        daily=daily,
        total=dice.choice((0, 0, 8, 40)),
        even=dice.random() < 0.4,
        timezone=dice.choice(ZONES),
    )
