"""What one lease has cost and may cost still, bid by bid: slow and obvious."""

from dataclasses import dataclass, field


@dataclass
class Bid:
    price: int
    taken: int  # reserved
    minute: int
    released: bool = False  # its time passed before the host knew what became of it
    closed: bool = False  # billed or lost
    known: bool = False  # the host has heard of that
    cost: int = 0
    late: bool = False  # billed after its reservation had come back


@dataclass
class Account:
    """`amount`: of the lease; it stays."""

    amount: int
    bids: list[Bid] = field(default_factory=list)
    beyond: list[Bid] = field(default_factory=list)  # out at the newest take

    def take(self, price: int, taken: int, minute: int) -> None:
        """One more bid; what is out now could still cost more than it has reserved."""
        self.bids.append(Bid(price, taken, minute))
        self.beyond = [bid for bid in self.bids if not bid.known and not bid.released]

    def bill(self, bid: Bid, cost: int) -> None:
        """0: it was lost."""
        if not bid.closed:
            bid.closed, bid.cost, bid.late = True, cost, bid.released

    def hear(self) -> None:
        """The host knows all that there is to know."""
        for bid in self.bids:
            bid.known = bid.known or bid.closed

    def release(self, minute: int) -> None:
        """Reservations up to this minute come back, where nobody has spoken of them."""
        for bid in self.bids:
            bid.released = bid.released or (bid.minute <= minute and not bid.known)

    @property
    def cost(self) -> int:
        """All that it has cost so far."""
        return sum(bid.cost for bid in self.bids)

    @property
    def left(self) -> int:
        """What the host should have left, after it has heard all."""
        known = sum(bid.cost for bid in self.bids if bid.known)
        out = sum(bid.taken for bid in self.bids if not bid.known and not bid.released)
        return self.amount - known - out

    @property
    def bound(self) -> int:
        """Most that it may have overspent: late bills, and what bids that were out at the last take cost unreserved."""
        late = sum(bid.cost for bid in self.bids if bid.late)
        return late + sum(max(0, bid.cost - bid.taken) for bid in self.beyond)
