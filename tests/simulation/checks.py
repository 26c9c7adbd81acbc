"""What must hold, whatever goes wrong.

always(): Σ = 0, and what leases may cost and have cost is within every budget, but for late bills. given_back(): no
reservation comes back whose bill was acknowledged in time and is not booked yet. at_the_end(): every acknowledged
notice counts once, in every book alike; counters are complete or declared; purses hold what the ledger leaves them.
A bill is late where it is acknowledged later than the reservation's time after its bid (less GRACE_S, which totals may
be old); so is one of a bid that the exchange called lost before. Where clocks have jumped, also one whose reservation
was given back, or whose lease was closed, by such a clock. And one that a host acknowledged which could not reach
Postgres for longer than bidder/controller/streams.py waits. Money: int nano-USD.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bidder._fast.purses import HalfView
from bidder.controller.streams import CLOSES_S, RELEASES_S
from bidder.events.schema import NoticeKind
from tests.reference.bank import Campaign
from tests.simulation.exchange import SPEND_KIND, Bid

if TYPE_CHECKING:
    from tests.simulation.host import Host
    from tests.simulation.world import World

GRACE_S = 15.0  # totals 5 s old, an answer 5 s under way and 3 s old, and what a commit takes
BUCKETS = 16


@dataclass
class Limits:
    """The highest budget that each campaign has had; None: it has been without."""

    hourly: dict[int, int | None] = field(default_factory=dict)
    daily: dict[int, int | None] = field(default_factory=dict)
    total: dict[int, int | None] = field(default_factory=dict)

    def know(self, campaign: Campaign) -> None:
        """A budget is in force."""
        for name in ("hourly", "daily", "total"):
            highest, value = getattr(self, name), getattr(campaign, name)
            before = highest.get(campaign.key, value)
            highest[campaign.key] = None if before is None or value is None else max(before, value)


def changed(campaign: Campaign, budget: dict[str, int]) -> Campaign:
    """The same with another budget."""
    return replace(campaign, **budget)  # type: ignore[arg-type]


def is_late(world: "World", bid: Bid) -> bool:
    """May its bill be overspend?"""
    kind = SPEND_KIND[bid.exchange]
    told = bid.durable.get(kind, bid.heard.get(kind, world.now))
    if told > bid.at + world.plan.release_after_s - GRACE_S or bid.heard.get(NoticeKind.LOSS, told + 1) <= told:
        return True
    return bid.excused or (world.jumped and (bid.released or world.bank.leases[bid.lease].closed))


def budgets(world: "World") -> None:
    """What each budget may cost at most now, against what it allows."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    limits = world.limits
    for lease in world.bank.leases.values():
        cost, excused = world.bank.cost(lease), world.excused.get(lease.id, 0)
        key = lease.campaign
        for scope, limit in (
            ((key, "hour", lease.out.hour), limits.hourly[key]),
            ((key, "day", lease.out.day), limits.daily[key]),
            ((key, "total"), limits.total[key]),
        ):
            if limit is not None:
                entry = sums.setdefault(scope, [limit, 0, 0])
                entry[1] += cost
                entry[2] += excused
    for scope, (limit, cost, excused) in sums.items():
        if cost > limit + excused:
            world.violated(
                f"campaign {scope[0]} may cost {cost - limit} more than its budget of the {scope[1]} ({limit});"
                f" late bills explain {excused}"
            )


def always(world: "World") -> None:
    """After each step."""
    budgets(world)
    total = sum(world.bank.balances().values())
    if total:
        world.violated(f"all accounts together hold {total}")


def lefts(host: "Host") -> dict[int, HalfView]:
    """By lease, every half that has one."""
    purses = host.purses
    halves = (purses.half(slot, which) for slot in range(purses.used) for which in (0, 1))
    return {abs(half.lease): half for half in halves if half.lease}


def given_back(world: "World", host: "Host", before: dict[int, HalfView]) -> None:
    """Reservations that came back since `before`: none has a bill that was acknowledged in time and is not booked."""
    for lease, now in lefts(host).items():
        was = before.get(lease)
        if was is None or was.taken == now.taken:
            continue
        emptied = {at for at in range(BUCKETS) if now.taken[at] < was.taken[at]}
        for bid in world.by_lease.get(lease, ()):
            if bid.minute % BUCKETS not in emptied or bid.released:
                continue
            if _owed(world, bid) and not _excused(world, bid, RELEASES_S):
                world.violated(
                    f"{host.name} gives back what bid {bid.id.hex()} reserved: its bill was acknowledged at"
                    f" {bid.durable[SPEND_KIND[bid.exchange]]:.2f} s, and is not booked"
                )
            bid.released = True


def closed(world: "World", leases: Iterable[int]) -> None:
    """These leases have just been closed: no bill of theirs was acknowledged in time and is not booked."""
    for lease in leases:
        for bid in world.by_lease.get(lease, ()):
            if _owed(world, bid) and not _excused(world, bid, CLOSES_S):
                world.violated(f"lease {lease} is closed, and an acknowledged bill of bid {bid.id.hex()} is not booked")


def _owed(world: "World", bid: Bid) -> bool:
    """Its bill was acknowledged in time, and is not booked."""
    kind = SPEND_KIND[bid.exchange]
    return kind in bid.durable and kind not in bid.heard and not is_late(world, bid) and not world.jumped


def _excused(world: "World", bid: Bid, silent_s: float) -> bool:
    """The host that acknowledged it has been cut off from Postgres for so long (or always was)."""
    stream = world.bank.streams.get(f"{bid.where:016x}")
    bid.excused = stream is None or world.plan.start + world.now - stream.updated_at >= silent_s
    return bid.excused


def at_the_end(world: "World") -> None:
    """Everybody has had time, nothing failed any more."""
    _notices(world)
    _ledger(world)
    _counters(world)
    for host in world.hosts:
        _purses(world, host)


def _notices(world: "World") -> None:
    bank = world.bank
    for bid in world.bids.values():
        booked = bank.bids.get(bid.id)
        kinds, spent = (booked.kinds, booked.spent) if booked else (0, 0)
        for kind in bid.durable:
            if not kinds & 1 << (kind - 1):
                world.violated(f"an acknowledged {NoticeKind(kind).name} of bid {bid.id.hex()} is lost")
        due = bid.paid if SPEND_KIND[bid.exchange] in bid.durable else 0
        if spent != due:
            world.violated(f"bid {bid.id.hex()} has cost {spent}, its exchange says {due}")
    kinds = range(len(NoticeKind))
    counted = [sum(measures[at] for measures in bank.rollup.values()) for at in kinds]
    bits = [sum(state.kinds >> at & 1 for state in bank.bids.values()) for at in kinds]
    if counted != bits:
        world.violated(f"the rollup counts {counted} by kind, there are {bits}")


def _ledger(world: "World") -> None:
    bank = world.bank
    spent = sum(state.spent for state in bank.bids.values())
    books = {
        "rollup": sum(measures[-1] for measures in bank.rollup.values()),
        "transfers": sum(nano for (_, _, reason), nano in bank.transfers.items() if reason == "media"),
        "leases": sum(bank.spent(lease) for lease in bank.leases),
    }
    if set(books.values()) != {spent}:
        world.violated(f"bids have cost {spent}, but the books say {books}")
    balances = bank.balances()
    for lease in bank.leases.values():
        left = lease.amount - bank.spent(lease.id)
        held = balances.get(f"lease:{lease.id}", 0)
        if held > max(0, left) or (not lease.closed and held != left):
            world.violated(f"the account of lease {lease.id} holds {held}, it has {left} left")


def _counters(world: "World") -> None:
    bank = world.bank
    in_rollup = sum(measures[0] for measures in bank.traffic.values())
    missing = world.lost_requests
    living = {(host.outbox.producer, host.epoch) for host in world.hosts}
    declared = {(p, e, seq) for p, e, first, last in bank.gaps for seq in range(first, last + 1)}
    for (producer, epoch, seq), window in world.windows.items():
        mark = bank.progress.get((producer, epoch), (0, 0))[0]
        if seq > mark and (producer, epoch) in living:
            world.violated(f"window {seq} of {producer} is neither in the rollups nor declared missing")
        if seq > mark or (producer, epoch, seq) in declared:
            missing += sum(row.n for row in window.rows)
    waiting = sum(host.counted - host.told_windows for host in world.hosts)
    if in_rollup + missing + waiting != world.requests:
        world.violated(
            f"{world.requests} requests were counted: {in_rollup} in the rollups, {missing} missing, {waiting} waiting"
        )


def _purses(world: "World", host: "Host") -> None:
    """No more is left than the ledger leaves, less what is still out."""
    for id, half in lefts(host).items():
        lease = world.bank.leases[id]
        if half.amount < 0:
            if half.lease > 0:
                world.violated(f"{host.name} takes from lease {id}, of which it does not know what is out")
            continue
        if half.left + sum(half.taken) > half.amount + half.credits:
            world.violated(f"the purse of lease {id} does not add up: {half}")
        if lease.closed or host.keeper is None or id not in host.keeper.held() or world.jumped:
            continue
        still_out = sum(
            bid.taken
            for bid in world.by_lease.get(id, ())
            if not bid.released and not (bid.id in world.bank.bids and world.bank.bids[bid.id].closed)
            if world.now < bid.at + world.plan.release_after_s
        ) if half.lease > 0 else 0  # fmt: skip
        if half.left > lease.amount - world.bank.spent(id) - still_out:
            world.violated(
                f"{host.name} has {half.left} left of lease {id}, which has {lease.amount} less"
                f" {world.bank.spent(id)} spent and {still_out} out"
            )
