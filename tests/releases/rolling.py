"""Restarts, slices and switches under load, interleaved: what changes is the host, what the exchange sees does not.

Every fourth restart is to a build that cannot serve: it has to be given up, and the one before goes on.
"""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.hosts import Host
from tests.releases import builds, slices
from tests.releases.table import Table

BROKEN_EVERY = 4
SEED = 5


class Plan(NamedTuple):
    """How often what is done."""

    restarts: int
    slices: int
    flips: int


def prepare(host: Host, place: Path) -> None:
    """All builds, known by name."""
    for name in (*builds.GOOD, *builds.BROKEN):
        host.verb("build", "add", name, str(builds.make(place, name)))


def running_builds(host: Host) -> set[str]:
    """Of all processes that decide."""
    return {row["build"] for row in host.processes() if row["role"] in ("worker", "supervisor")}


def restart(host: Host, name: str) -> None:
    """To a build that can serve."""
    host.verb("restart", "--build", name, timeout=120)
    assert running_builds(host) == {name}


def restart_in_vain(host: Host, name: str) -> None:
    """To one that cannot: the verb says so, nothing has changed."""
    before = running_builds(host)
    host.verb("restart", "--build", name, code=1, timeout=120)
    assert running_builds(host) == before


def restarts(count: int) -> Iterator[tuple[str, bool]]:
    """Builds, and whether they can serve."""
    good, broken = itertools.cycle(builds.GOOD), itertools.cycle(builds.BROKEN)
    for n in range(1, count + 1):
        bad = n % BROKEN_EVERY == 0
        yield next(broken if bad else good), not bad


def share(n: int, of: int, among: int) -> range:
    """Which of `of` things the nth of `among` rounds does."""
    return range(of * n // among, of * (n + 1) // among)


def change_slices(host: Host, count: int, dice: random.Random) -> None:
    """A canary, so many changes of its slice, anywhere between nothing and a half, and its end."""
    slices.begin(host, next(name for name in builds.GOOD if name not in running_builds(host)), 100)
    for _ in range(count):
        slices.change(host, dice.randint(0, slices.ALL // 2))
    slices.end(host)


def flip(host: Host, campaign: str) -> None:
    """One campaign off, and on again."""
    for way in ("off", "on"):
        host.verb("switch", way, "--campaign", campaign)


def roll(table: Table, hosts: list[Host], plan: Plan, campaign: str) -> None:
    """All of it, in as many rounds as there are restarts; each round on the next host."""
    dice = random.Random(SEED)
    rounds = max(plan.restarts, 1)
    todo = list(restarts(plan.restarts))
    for n in range(rounds):
        host = hosts[n % len(hosts)]
        if n < len(todo):
            name, good = todo[n]
            what = f"restart {n + 1} to build {name}"
            if good:
                table.act(what, lambda: restart(host, name))  # noqa: B023 - called at once
            else:
                table.act(f"{what}, in vain", lambda: restart_in_vain(host, name))  # noqa: B023
        if changes := len(share(n, plan.slices, rounds)):
            table.act(f"{changes} changes of the slice", lambda: change_slices(host, changes, dice))  # noqa: B023
        for _ in share(n, plan.flips, rounds):
            table.act("a switch off and on", lambda: flip(host, campaign))  # noqa: B023
