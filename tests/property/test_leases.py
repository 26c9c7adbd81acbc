"""Leases against a slow, obvious account of every single reservation."""

import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.money.wire import Lease
from tests.unit.test_leases import START, Host

RELEASE_S = 600
FRESH_ENOUGH_S = 170  # between answers: every minute is expired before its bucket comes round again


@dataclass
class Reservation:
    minute: int
    amount: int
    billed: bool = False
    closed: bool = False


@dataclass
class Account:
    """The truth (`reservations`, `spent`) and what the host was told of it (`known`)."""

    amount: int
    reservations: list[Reservation] = field(default_factory=list)
    spent: int = 0
    known_amount: int = 0
    known_spent: int = 0
    known_closed: dict[int, int] = field(default_factory=dict)

    def totals(self, now: float) -> Lease:
        first = int((START + now - RELEASE_S) // 60) - 1
        closed: dict[int, int] = {}
        for reservation in self.reservations:
            if reservation.closed and reservation.minute >= first:
                closed[reservation.minute] = closed.get(reservation.minute, 0) + reservation.amount
        return Lease(7, 100, self.amount, -now - 1, 1e6, 2e6, 1e6, False, self.spent, sorted(closed.items()))

    def hear(self, lease: Lease) -> None:
        self.known_amount = lease.amount
        self.known_spent = max(self.known_spent, lease.spent)
        for minute, nano in lease.closed:
            self.known_closed[minute] = max(nano, self.known_closed.get(minute, 0))

    def most(self, fresh_at: float) -> int:
        """What may be left at most: amount less spent, less every reservation of an open minute that is not closed."""
        out: dict[int, int] = {}
        for reservation in self.reservations:
            if (reservation.minute + 1) * 60 + RELEASE_S > START + fresh_at:
                out[reservation.minute] = out.get(reservation.minute, 0) + reservation.amount
        held = sum(max(0, taken - self.known_closed.get(minute, 0)) for minute, taken in out.items())
        return self.known_amount - self.known_spent - held


STEP = st.one_of(
    st.lists(st.tuples(st.just("take"), st.integers(1, 300)), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(["bill", "lose"]), st.integers(0, 10**6)), min_size=1, max_size=3),
    st.lists(st.tuples(st.just("wait"), st.integers(1, 170)), min_size=1, max_size=1),
    st.integers(1, 5).map(lambda n: [("wait", 150), ("sync", 0)] * n),
    st.tuples(st.sampled_from(["sync", "stale", "restart"]), st.just(0)).map(lambda step: [step]),
    st.tuples(st.just("late"), st.integers(0, 10**6)).map(lambda step: [step]),
    st.tuples(st.just("amount"), st.integers(0, 3_000)).map(lambda step: [step]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=5, max_size=60))
def test_what_is_left_is_what_a_slow_account_says(steps: list[list[tuple[str, int]]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        host = Host(Path(place))
        account = Account(amount=2_000)
        told = [account.totals(host.now)]
        host.hear(told[0])
        account.hear(told[0])
        fresh_at = host.now  # when reservations could last be given back
        exact = True  # False once a minute may have been left unexpired until its bucket came round again
        for step, value in [*itertools.chain.from_iterable(steps), ("sync", 0)]:
            before = host.left
            if step == "take" and host.take(value) is not None:
                account.reservations.append(Reservation(host.minute, value))
                assert before >= value
            elif step in ("bill", "lose") and account.reservations:
                reservation = account.reservations[value % len(account.reservations)]
                if step == "bill" and not reservation.billed:
                    reservation.billed = True
                    account.spent += 1 + value % reservation.amount
                reservation.closed = True
            elif step == "amount":
                account.amount = value
            elif step == "wait":
                host.wait(float(value))
                exact = exact and host.now - fresh_at <= FRESH_ENOUGH_S
                assert value < 3 or host.left == before
            elif step == "restart":
                host = Host(Path(place), now=host.now)
                assert host.take(1) is None
            if step in ("sync", "restart", "late", "stale"):
                if step == "late":
                    totals = msgspec.structs.replace(told[value % len(told)], amount=account.known_amount)
                else:
                    told.append(totals := account.totals(host.now))
                if step == "stale":
                    totals = msgspec.structs.replace(totals, amount=account.known_amount)
                account.hear(totals)
                host.hear(totals, stale=step == "stale")
                if step == "stale":
                    assert host.left <= before
                else:
                    fresh_at = host.now
                    assert not exact or host.left == account.most(fresh_at)
            assert host.left <= account.most(fresh_at) or host.now - fresh_at < 3
        for _ in range(40):
            host.wait(59.0)
            host.hear(account.totals(host.now))
        assert host.left == account.amount - account.spent
