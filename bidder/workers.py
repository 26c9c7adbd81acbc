"""The workers of a supervisor: started, watched, brought back, drained.

A post is a row of the board, and who works there: of which arm, from which build. A worker is `outbid worker` of that
build; it dies with the supervisor. Workers of arm 0 share the listening socket that the supervisor owns, those of
other arms have doors of their own. A row is used again only when its last worker is gone: the next one goes on with
the counters that it left.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bidder._fast.board import Board, Worker
from bidder.builds import Build
from bidder.embedded.child import spawn
from bidder.ops import log as logs
from bidder.ops.seat import Process, Seat

STABLE = 0  # the arm that accepts connections
ROWS = 127  # of the board; the last one of the counters is the tracker's
WATCH_S = 0.02  # while a worker is missing, or leaves
ALL_THERE_S = 1.0  # while all of them live: a death is signalled
DRAIN_S = 6.0


class NoRowError(Exception):
    """All rows of the board have workers."""


@dataclass(eq=False, slots=True)
class Post:
    """`on_trial`: beside the worker whose place it may take; nobody waits for it to serve the newest book.
    `gone_by`: it has been asked to go, and is killed then (monotonic s)."""

    row: int
    arm: int
    build: Build
    seat: Seat
    on_trial: bool = False
    gone_by: float | None = None


class WorkerPool:
    """All workers of a host; none until `grow`. Times: monotonic seconds. Everything on the main thread."""

    def __init__(self, state: Path, board: Board, listening_fd: int, settings: Path | None = None) -> None:
        """`settings`: the file that workers read theirs from; None: as the host's verbs do."""
        self._state = state
        self._board = board
        self._fd = listening_fd
        self._settings = settings
        self._log = logs.get("supervisor")
        self._changed = asyncio.Event()
        self._posts: list[Post] = []
        self._deaths: Counter[int] = Counter()
        self.is_stopped = False

    @property
    def rows(self) -> list[int]:
        """Rows of the board that may have a living worker."""
        return [post.row for post in self._posts]

    def posts(self, arm: int | None = None) -> list[Post]:
        """Those that are to stay, of one arm or of all."""
        return [post for post in self._posts if post.gone_by is None and arm in (None, post.arm)]

    def pids(self, arm: int | None = None) -> list[int]:
        """Of the workers that live and are to stay."""
        return [post.seat.pid for post in self.posts(arm) if post.seat.pid is not None]

    def deaths(self, arm: int | None = None) -> int:
        """How many workers of this arm (None: of all) have died without being asked to, since the supervisor began."""
        return self._deaths.total() if arm is None else self._deaths[arm]

    def on_board(self, post: Post) -> Worker | None:
        """What the board says of its worker; None: nothing yet."""
        row = self._board.row(post.row)
        return row if row is not None and row.pid == post.seat.pid else None

    def serving(self, arm: int) -> list[Worker]:
        """What the board says of those of this arm that have a book to bid from."""
        return [row for post in self.posts(arm) if (row := self.on_board(post)) is not None and row.ready]

    def ready(self, arm: int) -> int:
        """How many workers of this arm have a book to bid from."""
        return len(self.serving(arm))

    def grow(self, arm: int, build: Build, count: int = 1, *, on_trial: bool = False) -> list[Post]:
        """So many workers more. NoRowError: not one is started."""
        free = sorted(set(range(ROWS)) - set(self.rows))[:count]
        if len(free) < count:
            raise NoRowError(f"a host has {ROWS} workers at most, and {len(self._posts)} are there already")
        posts = [Post(row, arm, build, self._seat(row, arm, build), on_trial) for row in free]
        for post in posts:
            post.seat.wanted = not self.is_stopped
        self._posts += posts
        self._changed.set()
        return posts

    def resize(self, arm: int, build: Build, count: int) -> None:
        """So many workers: new ones of that build, or the last ones go."""
        posts = self.posts(arm)
        for post in posts[count:]:
            self.retire(post)
        if len(posts) < count:
            self.grow(arm, build, count - len(posts))

    def shrink(self, arm: int) -> None:
        """No worker of this arm any more: each drains, and goes."""
        for post in self.posts(arm):
            self.retire(post)

    def retire(self, post: Post) -> None:
        """Its worker drains, and goes; its row is free then."""
        post.seat.ask_to_go()
        post.gone_by = time.monotonic() + DRAIN_S
        self._changed.set()

    def handed_over(self) -> list[dict[str, Any]]:
        """Every worker, for `adopt` of the next program of this process."""
        return [
            {
                "row": post.row,
                "arm": post.arm,
                "build": post.build.as_dict(),
                "pid": post.seat.pid,
                "leaves": post.gone_by is not None,
            }
            for post in self._posts
        ]

    @property
    def all_deaths(self) -> dict[int, int]:
        """By arm."""
        return dict(self._deaths)

    def adopt(self, posts: list[dict[str, Any]], deaths: dict[int, int]) -> None:
        """Workers that the program before has started."""
        self._deaths.update(deaths)
        for said in posts:
            row, arm, build = said["row"], said["arm"], Build.of(said["build"])
            post = Post(row, arm, build, self._seat(row, arm, build))
            if said["pid"] is not None:
                post.seat.adopt(said["pid"])
            self._posts.append(post)
            if said["leaves"]:
                self.retire(post)

    def is_gone(self, post: Post) -> bool:
        """Has a retired one left its row?"""
        return post not in self._posts

    async def run(self) -> None:
        """Bring back whoever dies, until cancelled. On the main thread: it listens to SIGCHLD."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._changed.set)
        try:
            while True:
                self._changed.clear()
                now = time.monotonic()
                for post in list(self._posts):
                    self._look_after(post, now)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(WATCH_S if self._unsettled() else ALL_THERE_S):
                        await self._changed.wait()
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)

    def _unsettled(self) -> bool:
        return any(post.gone_by is not None or (post.seat.wanted and post.seat.pid is None) for post in self._posts)

    def _look_after(self, post: Post, now: float) -> None:
        before = post.seat.deaths
        post.seat.look_after(now)
        self._deaths[post.arm] += post.seat.deaths - before
        if post.gone_by is not None:
            if now >= post.gone_by:
                post.seat.kill()
            if post.seat.pid is None:
                self._posts.remove(post)
                self._board.release(post.row)  # where it was killed, it has not done so itself

    def _seat(self, row: int, arm: int, build: Build) -> Seat:
        return Seat("worker", partial(self._start, row, arm, build), self._log, row=row, arm=arm, build=build.name)

    def _start(self, row: int, arm: int, build: Build) -> Process:
        fds = (self._fd,) if arm == STABLE else ()
        place = ["--fd", str(self._fd)] if arm == STABLE else ["--arm", str(arm)]
        settings = [] if self._settings is None else ["--settings", str(self._settings)]
        return spawn(
            build.command("worker", "--row", str(row), *place, "--state", str(self._state), *settings),
            cwd=Path.cwd(),
            log=None,
            environ=build.environ(),
            account=None,
            on_orphaned=signal.SIGKILL,
            pass_fds=fds,
        )

    def start(self) -> None:
        """Workers are wanted (again)."""
        self.is_stopped = False
        for post in self.posts():
            post.seat.want_again()
        self._changed.set()

    async def stop(self) -> None:
        """Drain every worker: requests that have begun are answered, connections closed; then they are gone."""
        self.is_stopped = True
        for post in self._posts:
            post.seat.ask_to_go()
        deadline = time.monotonic() + DRAIN_S
        while any(post.seat.pid is not None for post in self._posts) and time.monotonic() < deadline:
            await asyncio.sleep(WATCH_S)
        for post in self._posts:
            post.seat.kill()
