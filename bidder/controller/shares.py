"""Shares: how the hosts that serve a campaign share one of its budget hours. Pure.

A host begins with a small part of what the hour may cost, and asks for more as it uses it up; each time it gets no more
than a part of what is left, so the parts shrink as the money does, and nobody sits on much while another has none.
Promise: the most that open leases may cost, and what closed ones did cost, never exceed the budgets.
Money: int nano-USD.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from bidder.controller.budget import Budget, BudgetHour, amount_of
from bidder.controller.curves import FLAT, Curve

PARTS = 8  # of what is left, each host has about one part in so many times the hosts at hand
BIDS = 10  # or so many bids, where that is more
EVENLY = 64  # or, where they spend evenly, by this part of the plan
TOLD = 8  # what others have used is told again where it has moved by this part of what is left


def room(left: int, hosts: int, price: int) -> int:
    """What one of `hosts` should have at hand, where `left` of the hour is not used yet."""
    return left if hosts <= 1 else min(left, max(left // (PARTS * hosts), BIDS * price))


@dataclass(frozen=True, slots=True)
class Campaign:
    """What leases must know of a campaign."""

    key: int
    total: int | None
    daily: int | None
    hourly: int | None
    even: bool
    timezone: str
    flight_end: datetime | None
    revision: int
    price: int  # the most that one bid may cost
    runs: bool

    @property
    def budgeted(self) -> bool:
        """Without any budget, every host has as much as the setting says, and nothing is shared."""
        return self.total is not None or self.daily is not None or self.hourly is not None


@dataclass(slots=True)
class Out:
    """A lease as its campaign's budget sees it: a row of `ledger.lease`, changed as the sync goes on."""

    lease: int | None  # None: it is granted in this sync
    host: str
    hour: datetime
    day: date
    take_until: datetime
    settle_until: datetime
    open: bool
    takes: bool  # now, or when its hour begins
    amount: int
    spent: int
    revision: int  # of the campaign when the amount was worked out; 0: it must be again
    wanted: int | None = None  # None: whatever it can get
    used: int = 0
    limit: int = -1  # >= 0: its host was told to lower it to this, as far as it is not used
    plan: int = 0
    elsewhere: int = 0
    tilt: float = 0.0  # of the traffic over its hour

    @property
    def cost(self) -> int:
        """Open: all that it may cost, and what late bills added; closed: what it did cost."""
        return max(self.amount, self.spent) if self.open else self.spent

    @property
    def gone(self) -> int:
        """What it has used of its hour, as far as is known."""
        return max(self.used, self.spent) if self.takes else self.cost

    @property
    def hungry(self) -> bool:
        """Money that comes free may be for it."""
        return self.takes and (self.wanted is None or self.wanted > self.amount)


@dataclass(slots=True)
class Account:
    """One campaign, all of its leases that are open or of a recent hour, and what the others have cost, by day."""

    campaign: Campaign
    unbudgeted: int  # nano-USD an hour and host
    outs: list[Out] = field(default_factory=list)
    settled: Mapping[date, int] = field(default_factory=dict)
    curve: Curve = FLAT  # of its traffic

    def most(self, hour: BudgetHour, without: Iterable[Out], *, planned: bool = False) -> int:
        """What these leases of the hour may cost at most, together; or are planned to."""
        apart = {id(out) for out in without}
        outs = [out for out in self.outs if id(out) not in apart]
        of_hour = sum(out.cost for out in outs if out.hour == hour.start)
        of_day = sum(out.cost for out in outs if out.day == hour.day) + self.settled.get(hour.day, 0)
        budget = Budget(
            total=self.campaign.total,
            daily=self.campaign.daily,
            hourly=self.campaign.hourly,
            even=self.campaign.even,
            flight_end=self.campaign.flight_end,
            committed_total=sum(out.cost for out in outs) + sum(self.settled.values()),
            committed_day=of_day,
            committed_hour=of_hour,
        )
        return amount_of(budget, hour, self.unbudgeted, self.curve, planned=planned)

    def rework(self, out: Out, hour: BudgetHour, hosts: int, adapts: bool) -> None:
        """Give the lease what it wants, as far as the budget has it; ask back what the budget has not any more.

        Bids are out that only the host knows of: where it `adapts`, nothing of its lease is free before it says so.
        """
        most = self.most(hour, [out])
        cut = out.limit >= 0
        if 0 < out.revision < self.campaign.revision or (cut and most > out.amount):
            out.wanted = None  # what it said was about another budget
        out.revision = self.campaign.revision
        out.limit = most if most < out.amount and adapts else -1
        if out.limit >= 0:
            return
        free = max(0, most - out.amount)
        if out.wanted is None:
            aim = most if hosts <= 1 or not self.campaign.budgeted else room(most, hosts, self.campaign.price)
        else:
            aim = out.wanted
        if self.campaign.budgeted and hosts > 1:  # others may ask at this moment
            aim = min(aim, out.amount + max(free // 2, min(free, BIDS * self.campaign.price)))
        out.amount = max(min(most, max(aim, out.amount)), out.spent)

    def tell(self, hour: BudgetHour) -> None:
        """Let the hour's leases say what their hosts should know of it, where that has moved by enough."""
        outs = [out for out in self.outs if out.hour == hour.start]
        plan = self.most(hour, outs, planned=True) if self.campaign.budgeted else 0
        gone = sum(out.gone for out in outs) if plan else 0
        step = max(plan - gone, BIDS * self.campaign.price) // TOLD
        if self.campaign.even:  # they pace by it
            step = max(plan // EVENLY, BIDS * self.campaign.price)
        for out in outs:
            if not out.takes:
                continue
            elsewhere = gone - out.gone if plan else 0
            if plan != out.plan or abs(elsewhere - out.elsewhere) > step:
                out.plan, out.elsewhere = plan, elsewhere
