"""Purses: what a host may still spend, one slot a campaign, in a file that all its workers map.

A purse has two halves, each for one lease. A half is *open* (bids take from it; at most one of a purse),
*shut* (its lease begins later, or has ended and settles) or *free*. Workers only take; one supervisor does the rest.
At rest: left = amount + credits - sum(taken). Money: nano-USD for one impression. Minutes: UTC since 1970.
A compiled take costs 11 ns where no other process takes from the same purse.
"""

from collections.abc import Collection
from os import PathLike
from typing import NamedTuple

from bidder._fast.shading import Shading

class PursesFull(Exception):
    """As many campaigns have had a purse as a file can hold; stop outbid on this host and remove the file."""

class HalfView(NamedTuple):
    lease: int
    """Of the lease: id > 0 open, -id shut, 0 free."""
    left: int
    credits: int
    amount: int
    taken: tuple[int, ...]
    """By minute of the bid, modulo 16."""

class PurseView(NamedTuple):
    campaign: int
    active: int
    throttle: int
    multiplier: int
    off: bool

class Purses:
    capacity: int
    private: bool
    shading: Shading | None
    """How campaigns that shade their bids do so on this host."""
    created: bool
    """This opening made the file: books compiled before name slots of another one and must be compiled again."""

    def __init__(
        self, path: str | PathLike[str], capacity: int = 0, *, boot: bytes | None = None, private: bool = False
    ) -> None:
        """`capacity` > 0 (the supervisor): create the file, or grow it to that; 0 (workers): attach to what is there.

        Where the machine has booted since (`boot`: 16 bytes, by default the kernel's), the supervisor's opening
        frees every half, as pages of another boot may be older than what was taken, and keeps who has which slot.
        `private`: only to look at; what is taken from these or given to them, nobody else sees, and no file.
        MappingError if the file is missing (workers) or of another layout.
        """
    @property
    def surveyed(self) -> bool:
        """False until it is known which leases were out when this file, or this boot, began."""
    @property
    def used(self) -> int:
        """Slots that have, or had, a campaign: 0 to used - 1."""
    def mark_surveyed(self) -> None: ...
    def sync(self) -> None:
        """Onto the disk; before a book that names new slots may outlive a crash of the operating system."""

    def slot_of(self, campaign: int) -> int:
        """The slot of this campaign's key, allotted at its first call and never given to another. PursesFull.

        Supervisor and compiler of the host may both call it. A full file is made twice as large.
        """
    def catch_up(self) -> None:
        """Map the file anew where it has grown; a worker does that before it serves a new book."""
    def purse(self, slot: int) -> PurseView: ...
    def set_pacing(self, slot: int, throttle: int, multiplier: int) -> None:
        """`throttle`: bid when a random 32-bit number is <= it. `multiplier`: 16.16 fixed point, at most 65536."""
    def set_unreserved(self, slot: int, unreserved: int) -> None:
        """The part of a price, in 65536ths, that bids need not reserve; 0: all of it is."""
    def set_off(self, slot: int, off: bool) -> None: ...
    def switch_off(self, campaigns: Collection[int]) -> None:
        """These, by key, and no others."""
    def half(self, slot: int, which: int) -> HalfView: ...
    def left(self, slot: int, which: int) -> int: ...
    def clear(self, slot: int, which: int) -> None:
        """Free a shut half. ValueError if it is open. Only a second after it was shut: a bid may be in the middle."""
    def grant(self, slot: int, which: int, lease: int, amount: int, credits: int = 0) -> None:
        """`clear`, then this lease, shut, with left = amount + credits."""
    def grant_unknown(self, slot: int, which: int, lease: int) -> None:
        """`clear`, then this lease with amount -1: it was out before this file began, so it can never be opened."""
    def open_half(self, slot: int, which: int) -> None:
        """Bids take from this half from now on; the other is shut."""
    def close_half(self, slot: int, which: int) -> None: ...
    def close_all(self) -> None: ...
    def restore(self, slot: int, which: int, amount: int, credits: int) -> None:
        """Of a shut half that no worker can be in: left anew from what is in `taken`."""
    def set_amount(self, slot: int, which: int, amount: int) -> None:
        """`left` moves by the difference, below 0 if more than the new amount is out."""
    def lower(self, slot: int, which: int, by: int) -> bool:
        """Amount and `left` fall by so much, also while bids take; False if less is left, then nothing happened."""
    def apply_credits(self, slot: int, which: int, credits: int) -> None:
        """`left` moves by the difference."""
    def expire_bucket(self, slot: int, which: int, minute: int, credits: int) -> int:
        """What was taken in that minute returns to `left`, with `credits` (without that minute's) in the same step.

        The amount that was in the bucket.
        """

    def take(self, slot: int, price: int, minute: int) -> tuple[int, int] | None:
        """(lease, amount reserved) as the token carries them, or None: the open half has less, or none is open."""
    def give_back(self, slot: int, lease: int, amount: int, minute: int) -> None:
        """Undo a take of this same minute; nothing happens if the lease has left the purse."""
