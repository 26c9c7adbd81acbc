"""Bad builds on a slice of real traffic: each has to be rolled back, and how long that took, from its slice to its end.

outbid canary start --build BAD --slice 5% --wait -> 2; the audit trail says when and why. A good build is promoted.
"""

import json
from typing import Any, NamedTuple

from tests.hosts import Host
from tests.releases import builds, rolling
from tests.releases.table import Table, say

ROLLED_BACK, PROMOTED = 2, 0  # exit codes
SLICE = "5%"
MIN_TIME = "30s"
GOOD_SLICE = "25%"  # so that as good is known soon
PATIENCE_S = 300.0


class Found(NamedTuple):
    """What became of a build. `took_s`: from the first request that it could get to the last."""

    build: str
    what: str
    outcome: str
    took_s: float
    because: str
    held: bool  # as it should


def trail(host: Host, canary: str) -> dict[str, dict[str, Any]]:
    """Its audit records on the host, the last of each verb."""
    lines = (host.state / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return {record["verb"]: record for record in records if record["subject"] == canary}


def tried(host: Host, build: str, *argv: str) -> tuple[str, float, str, int]:
    """Outcome, seconds, why, and the exit code of one canary."""
    done = host.try_verb("canary", "start", "--build", build, *argv, "--wait", "--json", timeout=PATIENCE_S)
    assert done.stdout, f"outbid canary start --build {build}: {done.stderr}"
    canary = json.loads(done.stdout)
    records = trail(host, canary["id"])
    took_s = 0.0
    if "canary slice" in records:
        took_s = (records["canary end"]["at_ms"] - records["canary slice"]["at_ms"]) / 1000
    return canary["outcome"], took_s, canary["because"], done.returncode


def rolled_back(host: Host, name: str) -> Found:
    """A bad one."""
    bad = builds.BAD[name]
    outcome, took_s, because, code = tried(host, name, "--slice", SLICE, "--min-time", MIN_TIME)
    return Found(name, bad.what, outcome, took_s, because, code == ROLLED_BACK and took_s <= bad.within_s)


def promoted(host: Host, name: str) -> Found:
    """A good one: every worker is of it afterwards."""
    outcome, took_s, because, code = tried(host, name, "--slice", GOOD_SLICE, "--min-time", MIN_TIME, "--auto-promote")
    running = rolling.running_builds(host)
    return Found(name, builds.GOOD[name].what, outcome, took_s, because, code == PROMOTED and running == {name})


def judge(table: Table, host: Host, names: list[str]) -> list[Found]:
    """Every build of these, one after the other, under the table's load."""
    found: list[Found] = []
    for name in names:
        go = rolled_back if name in builds.BAD else promoted
        table.act(f"canary of build {name}", lambda: found.append(go(host, name)))  # noqa: B023 - called at once
        last = found[-1]
        say(f"    {last.what}: {last.outcome} after {last.took_s:.1f} s{'' if last.held else ' (!)'}: {last.because}")
    return found
