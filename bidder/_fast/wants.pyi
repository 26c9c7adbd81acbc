"""Wants: how much a host would like each of its open leases to have. Rules: docs/leases.md."""

from bidder._fast.leases import LeaseTable

class Wants:
    def __init__(self, table: LeaseTable, release_after_s: int) -> None: ...
    def ask(self, now: float, hosts: int, most: int) -> list[tuple[int, int, int]]:
        """(lease, amount, used) as bidder.money.wire.LeaseSync.wants has them, of open leases of which there is news.

        What is handed back has left the purse then. `hosts` share each budget. `now`: monotonic seconds. nano-USD.
        """
    def weigh(self, now: float, minute: int) -> None:
        """Once a second: `unreserved` of every purse that is being taken from, by what its bids were billed so far."""
    def ceilings(self, now: float, most: int) -> list[tuple[int, int]]:
        """(lease, what it can still cost) of known ones that take no more, where that is well below their amount."""
    def heard(self, heard: bool) -> None:
        """Was the last question taken in? What was not is said again."""
