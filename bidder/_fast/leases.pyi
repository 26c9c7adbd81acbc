"""Leases of a host: what is known of each, beside the purse that it fills. For bidder/money/leases.py, with its rules.

A half of a purse is named by one number: 2 * slot + which. Money: nano-USD. Times: monotonic seconds; minutes: UTC
since 1970. 112 bytes a half, and 200 more for each lease whose notices have closed something in an open minute.
`mark`: number of the listing in which a lease was named last.
"""

from collections.abc import Collection
from typing import Protocol, TypeVar

from bidder._fast.purses import Purses

SPAN_MINUTES: int
"""So many minutes back, what was taken can be told from the same bucket of the next round; one ahead is a worker's."""

class Lease(Protocol):
    """bidder.money.wire.Lease; durations count from `received_at`."""

    @property
    def id(self) -> int: ...
    @property
    def campaign(self) -> int: ...

_Lease = TypeVar("_Lease", bound=Lease)

class LeaseTable:
    purses: Purses
    count: int
    """Leases held."""

    def __init__(self, purses: Purses) -> None: ...
    def find(self, campaign: int, lease: int) -> int:
        """The half that it is in; -1: none."""
    def lease_of(self, half: int) -> int:
        """0: none."""
    def is_over(self, half: int, now: float) -> bool:
        """Of the half's lease: its time to take has passed."""
    def closes_at(self, half: int) -> float:
        """When the half's lease closes."""
    def is_quiet(self, half: int, now: float) -> bool:
        """No bid is in the middle of it: it was shut a second ago, or never open."""
    def place(
        self,
        half: int,
        lease: Lease,
        received_at: float,
        now: float,
        minute: int,
        *,
        known: bool,
        restored: bool,
        mark: int,
    ) -> None:
        """Put a lease into a half that is free and quiet, and open it where its time has come.

        `known`: it may be taken from. `restored`: the purse has been its own before, and knows what was taken.
        """
    def drop(self, half: int, now: float) -> None:
        """Out of the books; the purse stays as it is until another lease needs it."""
    def hear(self, leases: list[_Lease], received_at: float, minute: int, *, fresh: bool, mark: int) -> list[_Lease]:
        """Amounts, times and totals of those that are held, into their purses; the others are returned."""
    def settle_closed(self, minute: int, *, fresh: bool) -> None:
        """Work out anew what is left of every lease that bills or losses have given something back to."""
    def drop_unmarked(self, mark: int, now: float) -> None:
        """All that another listing named last."""
    def turn(self, now: float) -> None:
        """Open and shut by the clock. Costs nothing while nothing is due."""
    def expire(self, minute: int, due: int) -> None:
        """Give back what minutes up to `due` still hold, of every lease that is known."""
    def pace(self, now: float, minute: int) -> None:
        """Throttle and multiplier of every purse that is being taken from."""
    def held_leases(self) -> list[int]: ...
    def covers(self, campaigns: Collection[int]) -> bool:
        """Has each of these a lease?"""
    def overspent(self) -> int:
        """What known leases have cost beyond their amounts."""
