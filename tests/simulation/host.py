"""One simulated host: purses, keeper, spool, outbox, inbox and their readers are production; processes are this file.

supervisor: LeaseKeeper on Purses, Outbox on a CounterFile; one worker, which takes from purses and counts
tracker: read_notice -> spool -> acknowledged when it is synced; aggregator: MoneyIntake and Inbox into the bank
A process that dies leaves its files, and comes back when the world says so. Times: true seconds, unless a clock is
named.
"""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg2

from aggregator.inbox import Inbox
from aggregator.ledger import Batch
from aggregator.money import MoneyIntake
from aggregator.sources import SpoolSource
from bidder._fast.counters import CounterFile, Counters
from bidder._fast.purses import Purses
from bidder.events.outbox import KEY, Outbox
from bidder.events.schema import Deltas, Kind, Notice, NoticeFlag
from bidder.events.spool import SpoolError, SpoolReader
from bidder.events.stream import Place
from bidder.money.leases import LeaseKeeper
from bidder.money.tokens import Token
from bidder.money.wire import LeaseState
from bidder.tracking.booked import Booked
from bidder.tracking.notice import Said, read_notice
from tests.simulation.disk import Crash, Disk, InlineSpool
from tests.simulation.exchange import EXCHANGES, Message

if TYPE_CHECKING:
    from tests.simulation.world import World

ROW = 0  # of the one worker
SEGMENT_BYTES = 2_000  # a dozen notices
KEEP_WINDOWS = 6


class Quiet:
    """A log that nobody reads."""

    def info(self, *said: Any, **more: Any) -> None: ...
    def warning(self, *said: Any, **more: Any) -> None: ...
    def error(self, *said: Any, **more: Any) -> None: ...


class Reader(SpoolReader):
    """Production, but that it does not look at the files where it is known that nothing is new in them."""

    def __init__(self, host: "Host") -> None:
        super().__init__(host.disk.spool)
        self._host = host

    def read(self, position: int, max_bytes: int) -> tuple[list[tuple[int, Notice]], int]:
        if self._host.tracker is not None and position >= self._host.tracker.durable:
            return [], position
        return super().read(position, max_bytes)

    def trim(self, before: int, older_than_s: float = 0.0) -> int:
        return 0  # by the age of files, which is real here


class Ledger:
    """The bank as MoneyIntake knows Postgres: it may be away, and its client may die before or after a commit."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def broken(self) -> None:
        """Of the link."""

    def place(self, stream: str, exclusive: bool = False) -> Place:
        self._world.need_postgres()
        return Place(self._world.bank.position(stream))

    def commit(self, batch: Batch) -> None:
        world = self._world
        world.need_postgres()
        crash = world.crash_in_ledger
        if batch.notices:
            world.crash_in_ledger = None
        else:
            crash = None
        if crash == "before" and not world.bugs.move_first:
            raise Crash
        if crash == "lost":
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        world.book(batch, crash)
        if crash == "after":
            raise Crash
        if crash == "unknown":
            raise psycopg2.OperationalError("server closed the connection unexpectedly")


class Host:
    """All of one host. `counters`: its file of counters, used again and again, for it is large."""

    def __init__(self, world: "World", number: int, place: Path, counters: Path) -> None:
        self.world, self.number, self.name = world, number, f"host-{number}"
        self.place = place
        self.skew = 0.0  # of the wall clock
        self.booted_at = 0.0
        self.boots = 1
        self.reachable = True  # the controller, from here
        self.open_door = True  # of the tracker, to exchanges
        self.off = False  # without power
        self.stalled = False  # the aggregator does not run
        self.disk = Disk(place)
        self.disk.forgets = world.bugs.forget_sync
        self.crash_in: str | None = None  # where the tracker dies in its next commit
        self.crash_in_outbox = 0  # steps from now
        self.asking = 0  # number of the question that waits for an answer; 0: none
        self.questions = 0
        self.counted = 0  # requests since the boot
        self.told_windows = 0  # of requests since the boot, those in closed windows
        self.workers = 0  # ever started
        self.tracker: InlineSpool | None = None
        self.keeper: LeaseKeeper | None = None
        self.worker: Counters | None = None
        self.intake: MoneyIntake | None = None
        place.mkdir()
        self.disk.spool.mkdir()
        (self.disk.spool / "id").write_text(f"{number:016x}\n")
        (place / "outbox").mkdir()
        self._counters_path = counters
        self._written: dict[Path, float] = {}  # messages of the outbox, for the order in which they are found again
        self._on_disk = b""  # the purses, as the kernel has written them back last
        self._pumped_at = -1.0
        self._known = 0  # seq of the newest window of this boot
        self._begin_epoch()
        file = CounterFile(counters, boot=self.boot)
        for _ in range(2):  # what another schedule left
            for row in file.rows():
                if (table := file.flip(row)) is not None:
                    file.clear(row, table)
        self.start_supervisor()
        self.start_tracker()
        self.start_aggregator()

    # -- clocks

    def wall(self) -> float:
        """Seconds since 1970, as this host thinks."""
        return self.world.plan.start + self.world.now + self.skew

    def mono(self) -> float:
        """Since the boot."""
        return self.world.now - self.booted_at

    @property
    def boot(self) -> bytes:
        return self.boots.to_bytes(16, "big")

    def _begin_epoch(self) -> None:
        """Drawn at random in production; here by host and boot, so that schedules replay."""
        self.epoch = 1_000 * self.number + self.boots
        (self.place / "outbox" / "epoch").write_text(f"{self.epoch:016x} {self.boot.hex()}\n")

    # -- supervisor and worker

    def start_supervisor(self) -> None:
        self.purses = Purses(self.place / "purses", 4, boot=self.boot)
        self.keeper = self.world.make_keeper(self.purses, self.wall)
        for path, at in self._written.items():
            if path.exists():
                os.utime(path, (at, at))
        self.outbox = Outbox(self.place, f"{self.name}/bidder", KEEP_WINDOWS, boot=self.boot, at_step=self._outbox_step)
        self.counters = CounterFile(self._counters_path, boot=self.boot)
        self.asking = 0
        self.start_worker()

    def start_worker(self) -> None:
        if self.keeper is None:
            return
        self.worker = self.counters.open_worker(ROW)
        self.workers += not self.world.bugs.reuse_epoch
        self.bids = 0

    def kill_supervisor(self) -> None:
        """Its workers die with it."""
        self.keeper = self.worker = None

    def _outbox_step(self, step: str) -> None:
        if self.crash_in_outbox:
            self.crash_in_outbox -= 1
            if not self.crash_in_outbox:
                raise Crash

    def take(self, campaign: int, price: int) -> tuple[bytes, int, int, int] | None:
        """A bid: (bid id, minute, lease, reserved); None where there is no worker, or no money."""
        if self.worker is None:
            return None
        minute = int(self.wall() // 60)
        with self.worker:
            self.worker.count(KEY.pack(Kind.REQUEST, 1, 0, 0, 0, 0, 0, 0, 0, campaign, 0, 0, 0, minute), 1)
        self.counted += 1
        self.world.requests += 1
        taken = self.purses.take(self.purses.slot_of(campaign), price, minute)
        if taken is None:
            return None
        self.bids += 1
        epoch = (self.number << 24) + (self.boots << 16) + self.workers
        return (minute.to_bytes(4, "big") + epoch.to_bytes(5, "big") + self.bids.to_bytes(3, "big"), minute, *taken)

    def close_window(self) -> Deltas | None:
        """A message for the bus; None where the supervisor is away, or dies over it."""
        if self.keeper is None:
            return None
        self._on_disk = (self.place / "purses").read_bytes()
        try:
            return self.outbox.close_window(self.counters, [], int(self.wall() * 1_000))
        except Crash:
            self.world.say(f"{self.name}: its supervisor dies while it closes a window")
            self.world.down(self, "supervisor", 1.0)
            return None
        finally:
            self._know_windows()

    def _know_windows(self) -> None:
        """What is stored may be told, also if whoever stored it died over it."""
        windows, outbox = self.world.windows, self.outbox
        for stored in outbox._stored:
            self._written.setdefault(stored.path, self.world.now + 1)
        while (key := (outbox.producer, self.epoch, self._known + 1)) and outbox.seq > self._known:
            (message,) = outbox.messages(self.epoch, key[2], key[2])
            windows[key] = msgspec.msgpack.decode(message, type=Deltas)
            self._known += 1
            self.told_windows += sum(row.n for row in windows[key].rows)

    def hear(self, answer: LeaseState, question: int, complete: bool) -> None:
        """Of the controller, if it is still waited for."""
        if self.keeper is None or question != self.asking:
            return
        self.asking = 0
        with self.world.watch(self):
            self.keeper.apply(answer, self.mono(), complete=complete)
            self.keeper.tick(self.mono())
        if answer.more:
            self.world.ask(self)

    def tick(self) -> None:
        if self.keeper is not None:
            with self.world.watch(self):
                self.keeper.tick(self.mono())

    # -- tracker

    def start_tracker(self) -> None:
        try:
            self.tracker = InlineSpool(self.disk, SEGMENT_BYTES)
        except SpoolError as error:
            self.world.violated(f"{self.name}: the spool cannot be opened: {error}")
        assert self.tracker is not None
        if self.tracker.corrupt:
            self.world.violated(f"{self.name}: {self.tracker.corrupt}")
        self.booked = Booked()
        self.waiting: list[tuple[Any, Message, bytes, bool]] = []
        self.committing = False

    def kill_tracker(self) -> None:
        if self.tracker is not None:
            self.tracker.die()
            self.disk.process_dies(self.world.dice)
            self.tracker = None

    @property
    def healthy(self) -> bool:
        """As the supervisor hears of its tracker."""
        return self.tracker is not None and self.tracker.healthy

    def notice(self, message: Message) -> bool:
        """One arrives; False: nobody answers the door."""
        if self.tracker is None or not self.open_door:
            return False
        bid = message.bid
        key = bid.id + bytes((message.kind,))
        if key in self.booked:
            self.world.acknowledge(message, self)
            return True
        token = Token(
            bid_id=bid.id, exchange=bid.exchange, campaign=bid.campaign, creative=1, lease=bid.lease,
            bid_price=bid.price, taken=bid.taken,
        )  # fmt: skip
        said = Said(price=message.price_text, reason="1")
        notice = read_notice(
            message.kind, token, EXCHANGES[bid.exchange], said, int(self.wall() * 1_000), self.world.lives
        )
        counts = notice.flags & ~NoticeFlag.LATE == 0
        self.waiting.append((self.tracker.append(msgspec.msgpack.encode(notice)), message, key, counts))
        if self.world.bugs.acknowledge_early:
            self.world.acknowledge(message, self)
        if not self.committing:
            self.committing = True
            self.world.later(5.0 if self.tracker.hung else 0.01, self.commit, self.tracker)
        return True

    def commit(self, of: InlineSpool) -> None:
        """What arrived since the last one is synced, and acknowledged."""
        if self.tracker is not of:
            return
        self.committing = False
        crash, self.crash_in = self.crash_in, None
        self.disk.crash_in_sync = crash == "before it is synced"
        try:
            if crash == "before it is written":
                raise Crash
            of.commit()
            if crash:
                raise Crash
        except Crash:
            self.world.down(self, "tracker", 1.0)
            return
        finally:
            self.disk.crash_in_sync = False
        waiting, self.waiting = self.waiting, []
        for future, message, key, counts in waiting:
            if future.exception() is not None and not self.world.bugs.keep_refused:
                continue  # the tracker has said 503: it is repeated anyway
            if counts:
                self.booked.add(key)
            self.world.acknowledge(message, self)

    # -- aggregator

    def start_aggregator(self) -> None:
        self.inbox = Inbox()
        self.intake = MoneyIntake(
            lambda: SpoolSource(Reader(self), self.mono),
            Ledger(self.world),
            Ledger(self.world),  # type: ignore[arg-type]
            Quiet(),
            self.mono,  # type: ignore[arg-type]
        )

    def pump(self) -> None:
        """What the aggregator does all the time: notices and windows into the bank."""
        if self.intake is None or self.stalled or self.world.now - self._pumped_at < 0.3:
            return
        self._pumped_at = self.world.now
        try:
            for _ in range(50):
                if self.intake.attempt() != 0.0:
                    break
            self._pump_windows()
        except Crash:
            self.world.say(f"{self.name}: its aggregator dies in the middle of a batch")
            self.world.down(self, "aggregator", 1.0)

    def _pump_windows(self) -> None:
        now, bank = self.mono(), self.world.bank
        with contextlib.suppress(psycopg2.Error):
            self.world.need_postgres()
            if unknown := self.inbox.unknown():
                self.inbox.learn(bank.marks(unknown))
            losses = self.inbox.losses(now)
            if windows := self.inbox.take(losses, 50_000):
                self.inbox.learn(self.world.count(windows, losses))
            for ask in self.inbox.due(now):
                self.world.resend(self, ask)

    # -- the whole machine

    def lose_power(self) -> None:
        """Everything dies; what was not synced is lost."""
        dice = self.world.dice
        if self.tracker is not None:
            self.tracker.die()
            self.tracker = None
        self.kill_supervisor()
        self.intake = None
        self.disk.system_dies(dice)
        self.world.lost_requests += self.counted - self.told_windows
        self.counted = self.told_windows = self._known = 0
        luck = dice.random()
        if luck < 0.2:
            (self.place / "purses").unlink()
        elif luck < 0.8 and self._on_disk:  # pages of some earlier time
            (self.place / "purses").write_bytes(self._on_disk)
        for path in (self.place / "outbox").glob("*.msg"):
            if dice.random() < 0.2:
                path.unlink()
        self.boots += 1
        self._begin_epoch()

    def boot_again(self) -> None:
        self.booted_at = self.world.now
        self.off = False
        self.disk.fails = False
        self.start_tracker()
        self.start_supervisor()
        self.start_aggregator()
