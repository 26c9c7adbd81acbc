"""Canaries on a real host, under load: what becomes of good and of bad builds, and what is said of it afterwards."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from bidder._fast.slice import bucket
from tests.blackbox.test_restart import BANNER, CAMPAIGN, WORKER
from tests.builds import linked
from tests.conditions import wait_until
from tests.hosts import Host, running
from tests.steady import Load, steady

SLICE = 2_000  # buckets: 20 %
DIES_AT_WORK = WORKER.replace("reply = partial(answerer.reply, arm=arm)", "reply = lambda packet: os.abort()")


def body(of_canary: bool) -> bytes:
    """A request whose id has a bucket of the canary, or of its baseline."""
    ids = (f"r-{n}" for n in range(10_000))
    lowest, highest = (0, SLICE) if of_canary else (10_000 - SLICE, 10_000)
    request = next(name for name in ids if lowest <= bucket(name.encode()) < highest)
    return json.dumps({"id": request, "imp": [BANNER], "site": {"domain": "x.example"}, "tmax": 1000}).encode()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    place = tmp_path_factory.mktemp("canary")
    with running(place / "state", workers=1) as host:
        host.campaigns(CAMPAIGN)
        host.verb("build", "add", "good", str(linked(place / "good")))
        host.verb("build", "add", "dying", str(linked(place / "dying", worker=DIES_AT_WORK)))
        yield host


def canary(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.verb("canary", "status", "--json"))
    return found


def start(host: Host, build: str, *more: str) -> str:
    answer = json.loads(host.verb("canary", "start", "--build", build, "--slice", "20", "--json", *more))
    return str(answer["canary"])


def until_running(host: Host) -> None:
    path = host.state / "canary.json"
    wait_until(lambda: json.loads(path.read_text())["phase"] == "running", 30.0, "the canary to have its slice")


def under_load(host: Host, *steps: Any) -> tuple[list[Any], Load, Load]:
    """What the steps returned, one after the other, with requests of canary and baseline all the time."""

    async def live() -> tuple[list[Any], Load, Load]:
        async with (
            steady(host.base, body(True), clients=4, pause_s=0.01) as ours,
            steady(host.base, body(False), clients=4, pause_s=0.01) as theirs,
        ):
            await asyncio.gather(ours.until(20), theirs.until(20))
            done = [await asyncio.to_thread(step) for step in steps]
            await asyncio.gather(ours.until(20), theirs.until(20))
        assert (ours.failures, theirs.failures) == ([], [])
        return done, ours, theirs

    return asyncio.run(live())


def test_a_build_whose_workers_die_is_rolled_back_at_once_and_no_request_is_lost(host: Host) -> None:
    (done,), ours, theirs = under_load(
        host, lambda: host.try_verb("canary", "start", "--build", "dying", "--slice", "20%", "--wait", "--json")
    )
    assert done.returncode == 2, done.stderr
    said = json.loads(done.stdout)
    assert (said["outcome"], said["plan"]["steps"], said["buckets"]) == ("rolled back", [SLICE], 0)
    assert "guard: " in said["because"]
    assert said["verdict"]["at_s"] <= 3
    counted = {row["arm"]: row["requests"] for row in host.report("delivery", "--by", "arm")}
    assert counted["stable"] + counted["canary"] + counted["baseline"] == ours.answered + theirs.answered
    assert min(counted["canary"], counted["baseline"]) > 0


def test_an_abort_is_seen_by_the_next_request_and_told_with_who_and_why(host: Host) -> None:
    def abort() -> str:
        name = start(host, "good", "--exchange", "generic", "--max-spend", "5")
        until_running(host)
        host.verb("canary", "abort", "--why", "wrong build")
        return name

    (name,), _, _ = under_load(host, abort)
    done = host.try_verb("canary", "wait")
    assert (done.returncode, "aborted at" in done.stdout, "wrong build" in done.stdout) == (3, True, True)
    assert "no canary is under way" in host.try_verb("canary", "abort").stderr
    words = [line.split() for line in host.verb("canary", "explain", name).splitlines()]
    decisions = [word[3] for word in words if word and word[0].startswith("20")]
    assert (decisions[:2], decisions[-1]) == (["start", "slice"], "end")


def test_a_canary_goes_on_through_the_death_of_its_supervisor_and_is_taken_when_a_person_says_so(host: Host) -> None:
    (before,) = host.pids("supervisor")

    def steps() -> int:
        start(host, "good")
        until_running(host)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: host.try_verb("canary", "promote").returncode == 0, 30.0, "the canary to run again")
        return host.try_verb("canary", "wait").returncode

    assert steps() == 0
    rows = [row for row in host.processes() if row["role"] in ("supervisor", "worker")]
    assert {row["build"] for row in rows} == {"good"}
    assert len(rows) == 2, "canary and baseline have gone"


def test_every_decision_is_in_postgres_and_on_the_host_itself(host: Host) -> None:
    def told() -> list[tuple[Any, ...]]:
        return host.ask_postgres("SELECT build, outcome, widest_slice::float FROM report.canaries ORDER BY started_at")

    outcomes = [("dying", "rolled back", 0.2), ("good", "aborted", 0.2), ("good", "promoted", 0.2)]
    wait_until(lambda: told() == outcomes, 20.0, "all canaries in Postgres")
    rows = json.loads(host.verb("canary", "history", "--json"))
    assert [(row["build"], row["outcome"]) for row in rows] == [(row[0], row[1]) for row in reversed(outcomes)]
    decisions = json.loads(host.verb("canary", "explain", rows[-1]["canary"], "--json"))
    assert decisions[0]["verb"] == "canary start"
    assert decisions[-1]["detail"]["verdict"]["findings"][0]["measure"] == "bid rate"
    verbs = {row["verb"] for row in host.report("audit", flush=False)}
    assert {"up", "canary start", "canary slice", "canary end", "canary promote", "restart done"} <= verbs
    host.verb("stop", "postgres")
    away = host.try_verb("canary", "history")
    host.verb("start", "postgres")
    assert (away.returncode, "cannot reach Postgres" in away.stderr) == (0, True)
    assert [line.split()[0] for line in away.stdout.splitlines()[2:]] == [row["canary"] for row in rows]


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (("start", "--build", "nobody"), 1, "no build 'nobody'"),
        (("start", "--build", "good", "--exchange", "nobody"), 1, "no exchange 'nobody'"),
        (("start", "--build", "good", "--slice", "60"), 2, "0.01 % to 50 %"),
        (("start", "--build", "good", "--steps", "5,1"), 1, "wider"),
        (("start", "--build", "good", "--shadow", "--auto-promote"), 1, "a shadow promotes nothing"),
        (("start", "--build", "good", "--min-time", "soon"), 2, "a time as 90s"),
        (("explain", "nothing"), 1, "no canary 'nothing'"),
        (("promote",), 1, "no canary is under way"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(host: Host, argv: tuple[str, ...], code: int, says: str) -> None:
    done = host.try_verb("canary", *argv)
    assert (done.returncode, says in done.stderr, done.stderr.count("\n")) == (code, True, 1), done.stderr
