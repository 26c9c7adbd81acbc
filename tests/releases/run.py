"""Releases under load, on real processes: `scripts/releases`. Nothing may be refused, reset, failed or late.

outbid up -> campaigns -> capacity -> a steady open-loop load at a share of it -> restarts, slices, switches -> the sums
Everything is on this machine, in a directory of its own, and ends by itself. The table tells what became of requests
during each act; the exit code is 1 unless each was answered in time. docs/releases.md "How it is proven".
"""

import argparse
import contextlib
import functools
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import haproxy
from tests.bench import openloop, servers
from tests.conditions import wait_until
from tests.hosts import DOORS, EXAMPLES, Host, running
from tests.releases import builds, judged, killed, rolling, slices
from tests.releases.load import Counts, Load, capacity, connections, leave_the_core, offering
from tests.releases.table import Table, say, verdict

BAD_BUILDS_RATE = 2_000.0  # requests a second
MANY = 100_000  # requests before the first comes again: a judge takes users for independent
LOOK_S = 0.2
QUIET_S = 3.0  # of the load alone: what is late then is the machine's
BEHIND = ("a", "b")  # names of hosts in docker/haproxy.cfg
LATE_MS = 5.0  # what the generator cannot send by then it does not send: its own fault, and said


@contextlib.contextmanager
def hosts(place: Path, count: int, workers: int, environ: Mapping[str, str] | None = None) -> Iterator[list[Host]]:
    """So many whole hosts, each with the example campaigns; `environ`: settings."""
    settings = servers.ENVIRONMENT | dict(environ or {})
    with contextlib.ExitStack() as stack:
        found = []
        for n in range(count):
            say(f"starting host {n + 1} of {count}")
            host = stack.enter_context(running(place / f"state-{n}", workers, environ=settings))
            host.verb("campaign", "import", str(EXAMPLES), "--wait")
            found.append(host)
        yield found


@contextlib.contextmanager
def door(place: Path, found: Sequence[Host], *, behind_haproxy: bool) -> Iterator[str]:
    """Where exchanges send to."""
    if not behind_haproxy:
        yield f"http://127.0.0.1:{found[0].base}"
        return
    ports = {name: host.base + DOORS["bid"] for name, host in zip(BEHIND, found, strict=True)}
    trackers = {name: host.base + DOORS["tracker"] for name, host in zip(BEHIND, found, strict=True)}
    with haproxy.running(place, ports, trackers) as balancer:
        yield balancer.url


def plan_of(args: argparse.Namespace, url: str, bodies: Sequence[bytes]) -> openloop.Plan:
    """What is offered: as the operator says, or a share of what fits."""

    def at(rate: float) -> openloop.Plan:
        count = args.connections or connections(rate, args.deadline_ms)
        return openloop.Plan(rate, 1, count, deadline_ms=args.deadline_ms, late_ms=LATE_MS)

    if args.rate:
        return at(args.rate)
    fits = capacity(url, bodies, at)
    plan = at(fits * args.share)
    say(f"capacity {fits:,.0f} requests/s; {args.share:.0%} of it are offered, on {plan.connections} connections")
    return plan


def told(args: argparse.Namespace, plan: openloop.Plan, table: Table, more: dict[str, Any]) -> Counts:
    """End the load; say what came of it."""
    table.act("nothing", lambda: threading.Event().wait(QUIET_S))
    counts = table.end()
    rows = [{"what": row.what, "took_s": row.took_s, **row.counts._asdict()} for row in table.rows]
    found = {"rate": plan.rate, "acts": rows, "all": counts._asdict(), **more}
    print(json.dumps(found) if args.json else verdict(counts))
    return counts


def under_load(args: argparse.Namespace, place: Path) -> bool:
    """Restarts, slices, switches; True where nobody felt them."""
    bodies = servers.bodies()
    with (
        hosts(place, len(BEHIND) if args.haproxy else 1, args.workers) as found,
        door(place, found, behind_haproxy=args.haproxy) as url,
    ):
        for n, host in enumerate(found):
            rolling.prepare(host, place / f"builds-{n}")
        with slices.widest(found, next(iter(builds.GOOD))):
            plan = plan_of(args, url, bodies)
        with offering(url, bodies, plan) as load:
            table = Table(load)
            table.act("nothing", lambda: threading.Event().wait(QUIET_S))
            campaign = json.loads(EXAMPLES.read_text(encoding="utf-8").splitlines()[0])["id"]
            rolling.roll(table, found, rolling.Plan(args.restarts, args.slices, args.flips), campaign)
            counts = told(args, plan, table, {})
    return counts.lost + counts.open == 0


def canary_killed(args: argparse.Namespace, place: Path) -> bool:
    """A canary's worker killed again and again; True where nobody felt it, and the sums are right."""
    build = next(iter(builds.GOOD))
    everybody = killed.people(round(args.requests * 1.2))
    bodies = [killed.request(ifa) for ifa in everybody]
    with hosts(place, 1, args.workers, killed.PATIENT) as (host,):
        host.verb("build", "add", build, str(builds.make(place, build)))
        url = f"http://127.0.0.1:{host.base}"
        plan = plan_of(args, url, bodies)
        slices.begin(host, build, killed.BUCKETS)
        before = killed.counted(host)
        with offering(url, bodies, plan) as load:
            table = Table(load)
            reached = functools.partial(reach, load, wait_s=args.requests / plan.rate * 2 + 60)
            for n in range(1, args.kills + 2):
                table.act("a slice of 5 %", lambda: reached(args.requests * n // (args.kills + 1)))  # noqa: B023
                if n <= args.kills:
                    table.act("kill -9 of the canary's worker", lambda: killed.kill(host))
            slices.status(host)  # it is still there
            counts = told(args, plan, table, {})
        found = killed.sums(host, before, everybody, counts.sent)
    say(f"{found.canary:,} of {found.sent:,} requests were the canary's ({found.share:.2%}), {found.baseline:,} the"
        f" baseline's, {found.stable:,} of the stable build's own")  # fmt: skip
    for line in found.wrong:
        say(f"releases: {line}")
    return counts.lost + counts.open == 0 and not found.wrong


def reach(load: Load, sent: int, wait_s: float) -> None:
    """Wait until so many requests have been sent."""
    wait_until(lambda: threading.Event().wait(LOOK_S) or load.counts().sent >= sent, wait_s, f"{sent:,} requests")


def bad_builds(args: argparse.Namespace, place: Path) -> bool:
    """Every bad build rolled back, a good one promoted; True where all were, and nobody felt it."""
    names = args.builds.split(",") if args.builds else [*builds.BAD, next(iter(builds.GOOD))]
    bodies = servers.bodies(MANY)
    with hosts(place, 1, args.workers) as (host,):
        for name in names:
            made = builds.bad(place, name) if name in builds.BAD else builds.make(place, name)
            host.verb("build", "add", name, str(made))
        url = f"http://127.0.0.1:{host.base}"
        plan = plan_of(args, url, bodies)
        with offering(url, bodies, plan) as load:
            table = Table(load)
            table.act("nothing", lambda: threading.Event().wait(QUIET_S))
            found = judged.judge(table, host, names)
            counts = told(args, plan, table, {"builds": [one._asdict() for one in found]})
    return counts.lost + counts.open == 0 and all(one.held for one in found)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/releases", description=(__doc__ or "").partition("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--haproxy", action="store_true", help="the same on two hosts behind docker/haproxy.cfg")
    what.add_argument("--bad-builds", action="store_true", help="canaries of builds that have to be rolled back")
    what.add_argument(
        "--canary-kill", action="store_true", help="kill -9 of a canary in the middle of 200,000 requests"
    )
    parser.add_argument("--requests", type=int, default=200_000, metavar="N", help="of --canary-kill (default: 200000)")
    parser.add_argument("--kills", type=int, default=5, metavar="N", help="of --canary-kill (default: 5)")
    parser.add_argument("--builds", metavar="NAME,...", help=f"of --bad-builds: {', '.join(builds.BAD)}, blue")
    parser.add_argument("--rate", type=float, metavar="N", help="requests a second (default: a share of what fits)")
    parser.add_argument("--share", type=float, default=0.7, help="of the capacity that is measured (default: 0.7)")
    parser.add_argument("--deadline-ms", type=float, default=35, metavar="MS", help="of an answer (default: 35)")
    parser.add_argument("--connections", type=int, metavar="N", help="keep-alive ones (default: rate x deadline)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of each host (default: 2)")
    parser.add_argument("--restarts", type=int, default=20, metavar="N", help="every fourth in vain (default: 20)")
    parser.add_argument("--slices", type=int, default=200, metavar="N", help="changes of the slice (default: 200)")
    parser.add_argument("--flips", type=int, default=20, metavar="N", help="switches off and on (default: 20)")
    parser.add_argument("--json", action="store_true", help="print all acts as JSON")
    return parser.parse_args(argv)


def mode(args: argparse.Namespace) -> Callable[[argparse.Namespace, Path], bool]:
    """What is to be proven."""
    if args.bad_builds:
        args.rate = args.rate or BAD_BUILDS_RATE
        return bad_builds
    return canary_killed if args.canary_kill else under_load


def main(argv: Sequence[str]) -> int:
    """0 where the promise held, else 1."""
    args = arguments(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # hosts are ended and erased then, too
    leave_the_core()
    with tempfile.TemporaryDirectory(prefix="outbid-releases-") as place:
        held = mode(args)(args, Path(place))
    if not held:
        say("releases: not every request was answered in time")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
