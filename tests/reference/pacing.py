"""Pacing as one would write it down, a quantity a line; times in seconds of an hour of 3,600."""

from dataclasses import dataclass
from math import exp, log, nan

ALL = 2**32 - 1


def clip(value: float, least: float, most: float) -> float:
    return max(least, min(most, value))


def plan(amount: int, into: float, tilt: float = 0.0) -> float:
    """`into`: 0 to 1 of the hour. Two minutes' lead, then a line; its density falls from 1 + tilt to 1 - tilt."""
    spent = into * (1 + tilt) - tilt * into**2
    return amount * (1 / 30 + (29 / 30) * spent)


@dataclass
class Seen:
    """Of a lease, at one step."""

    amount: int
    spent: int
    pending: int
    taken: int
    into_ms: int
    hour_ms: int
    tilt: float
    lease: int
    now: float
    plan: int = 0
    elsewhere: int = 0


class Controller:
    def __init__(self) -> None:
        self.before: Seen | None = None
        self.share, self.multiplier, self.least, self.settled = 1.0, 1.0, 1 / 16, nan
        self.takes = self.open = self.peak = self.lump = self.billed = self.resolved = 0.0
        self.fell = False

    def step(self, now: Seen) -> tuple[float, float]:
        """(throttle, multiplier), 0 to 1."""
        second = now.hour_ms / 3_600_000
        into = clip(now.into_ms / now.hour_ms, 0, 1)
        whole, elsewhere = (now.plan, now.elsewhere) if now.plan else (now.amount, 0)
        mine = now.spent + now.pending + max(1, whole / 30)
        part = mine / (mine + elsewhere)
        rate = max(1e-3, part * whole * max(0.05, 1 + now.tilt * (1 - 2 * into)) * 1000 / now.hour_ms)
        passed = 0.0
        if self.before is not None and self.before.lease == now.lease and now.now > self.before.now:
            passed = now.now - self.before.now
            fading = exp(-passed / (600 * second))
            self.billed = self.billed * fading + max(0, now.spent - self.before.spent)
            self.resolved = self.resolved * fading + max(0, now.taken - now.pending + self.before.pending)
            if now.taken > 0:
                self.lump = self.lump * 0.9 + now.taken * 0.1 if self.lump else now.taken
            starving = now.amount - now.spent - now.pending < 2 * self.lump
            if self.share > 0 and not starving:
                weight = exp(-passed / self.memory(rate, second))
                self.takes = self.takes * weight + (1 - weight) * now.taken / passed
                self.open = self.open * weight + (1 - weight) * self.share
                self.peak = max(self.demand(), self.peak * exp(-passed / (600 * second)))
        elif self.settled == self.settled:
            self.multiplier = self.settled
        self.before = now

        committed = elsewhere + now.spent + self.billed_share() * max(0, now.pending)
        catch = max(60 * second, self.memory(rate, second))
        catch = max(3 * second, min(catch, (1 - into) * now.hour_ms / 2000))
        wanted = clip(rate + part * (plan(whole, into, now.tilt) - committed) / catch, 0, 5 * rate)
        if passed and self.open > 0:
            self.scale(max(wanted, rate), passed, second, whole - elsewhere - now.spent, now, self.memory(rate, second))
        if self.demand() > 0 or self.peak > 0:
            room = 1.5 if self.multiplier > self.least else 1.0
            self.share = clip(room * wanted / max(self.demand(), self.peak / 8, 1e-9), 0, 1)
        elif passed:
            self.share = min(1, self.share * 2 ** min(passed / second, 10))
        over = committed - plan(whole, into, now.tilt)
        return self.share * clip(1 - over / max(1, whole / 60), 0, 1), self.multiplier

    def scale(self, wanted: float, passed: float, second: float, left: float, now: Seen, memory: float) -> None:
        demand = self.demand()
        self.least = max(1 / 16, self.least * exp(-passed / (900 * second)))
        if self.multiplier < 1 and demand < wanted / 4:
            self.fell = True
        elif self.fell and demand >= 0.8 * wanted:
            self.fell = False
            if self.multiplier < 1:
                self.least = min(1, 1.02 * self.multiplier)
        step = clip(log(wanted / max(demand, wanted / 1000)), -1, 1)
        if left - now.pending < 2 * self.lump:
            step = 1
        elif now.pending > left / 8:
            step = max(0, step)
        else:
            self.settled = self.multiplier
        step *= (0.02 if step > 0 else 0.01) * passed * 8 / memory
        self.multiplier = clip(self.multiplier * exp(clip(step, -0.5, 0.5)), self.least, 1)

    def billed_share(self) -> float:
        doubt = 20 * max(1, self.lump)
        return clip((self.billed + doubt) / (self.resolved + doubt), 0.001, 4)

    def demand(self) -> float:
        return self.billed_share() * self.takes / self.open if self.open else 0

    def memory(self, rate: float, second: float) -> float:
        return clip(10 * self.billed_share() * self.lump / rate, 8 * second, 600 * second)
