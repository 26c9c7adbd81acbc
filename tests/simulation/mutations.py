"""Bugs that somebody might write, to be planted: a simulation that does not find them is worth nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bugs:
    """Each is one slip in one place."""

    book_twice: bool = False  # the ledger forgets which notices of earlier batches it has booked
    forget_sync: bool = False  # the tracker acknowledges what is written, not what is synced
    acknowledge_early: bool = False  # it acknowledges what waits for the disk
    reuse_epoch: bool = False  # a worker that comes back numbers its bids as the last one did
    never_stale: bool = False  # the office says that totals are fresh whatever they are
    skip_survey: bool = False  # after a reboot a host takes from the leases that it had


NONE = Bugs()
