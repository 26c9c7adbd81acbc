"""What goes wrong: each kind of fault of a plan, done to the world. Times: true seconds."""

from typing import TYPE_CHECKING

from tests.simulation.plan import Step

if TYPE_CHECKING:
    from tests.simulation.host import Host
    from tests.simulation.world import World


def goes_wrong(world: "World", step: Step, host: "Host") -> None:
    """One step that is a fault."""
    what, by = step.what, step.by
    world.say(f"{what} ({host.name}, {by:.3f})")
    down_s = 1.0 if by < 0.5 else (by - 0.5) * 2 * 4_000
    away_s = by**3 * 7_200  # mostly short
    if what in ("kill worker", "kill supervisor", "kill tracker", "kill aggregator"):
        world.down(host, what.removeprefix("kill "), down_s)
    elif what == "reboot host":
        world.reboot(host, 20 + away_s)
    elif what == "kill controller":
        world.controller_up = False
        world.later(down_s, world.controller_starts)
    elif what == "Postgres away":
        world.postgres_up = False
        world.later(away_s, world.postgres_back)
    elif what == "aggregator stalls":
        host.stalled = True
        world.later(away_s, setattr, host, "stalled", False)
    elif what == "partition":
        host.reachable = False
        world.later(away_s, setattr, host, "reachable", True)
    elif what == "tracker unreachable":
        host.open_door = False
        world.later(by * 600, setattr, host, "open_door", True)
    elif what == "clock of a host jumps":
        world.jumped = True
        host.skew += (by - 0.5) * 7_200
    elif what == "clock of the controller jumps":
        world.jumped = True
        world.skew += (by - 0.5) * 7_200
    elif what == "disk fails":
        host.disk.fails = True
        world.later(away_s / 4, world.disk_works, host)
    elif what == "disk hangs" and host.tracker is not None:
        host.tracker.hung = True
        world.later(by * 60, world.disk_works, host)
    elif what == "crash in a commit":
        host.crash_in = ("before it is written", "before it is synced", "before it is acknowledged")[int(by * 3)]
    elif what == "crash in the aggregator":
        world.crash_in_ledger = ("before", "after", "lost", "unknown")[int(by * 4)]
    elif what == "crash in the outbox":
        host.crash_in_outbox = 1 + int(by * 6)
    elif what == "crash in the office":
        world.crash_in_office = ("before", "after")[int(by * 2)]
    elif what == "budget changes":
        world.budget_changes(step)
    elif what == "bus loses":
        world.bus_loses = by
