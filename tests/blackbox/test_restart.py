"""Restarts under load, to builds that serve and to builds that do not: no request is refused, reset or lost."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builds import CHECKOUT, linked
from tests.conditions import wait_until
from tests.hosts import Host, alive, running
from tests.steady import steady

BANNER = {"id": "1", "banner": {"w": 300, "h": 250}}
BODY = json.dumps({"id": "r", "imp": [BANNER], "site": {"domain": "x.example"}, "tmax": 1000}).encode()
CAMPAIGN = {
    "id": "c-1",
    "advertiser": "acme",
    "bid": {"cpm_usd": "1"},
    "creatives": [
        {
            "id": "cr-1",
            "w": 300,
            "h": 250,
            "adm": '<a href="{click_url}">x</a>{pixel}',
            "landing_url": "https://acme.example/",
            "adomain": ["acme.example"],
        }
    ],
}
SUPERVISOR = (CHECKOUT / "bidder" / "supervisor.py").read_text()
WORKER = (CHECKOUT / "bidder" / "worker.py").read_text()
DIES_AT_ITS_START = WORKER.replace(
    "        self._board.claim(self._row, os.getpid()",
    "        os.abort()\n        self._board.claim(self._row, os.getpid()",
)
NO_SUPERVISOR = SUPERVISOR.replace(  # it fails when everything has begun, and one of its jobs has not
    "            self._keeper.pace(", "            raise ValueError('no pace today')\n            self._keeper.pace("
)


Done = tuple[int, dict[str, Any], str]  # exit code, what --json says, stderr


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    place = tmp_path_factory.mktemp("restart")
    (place / "outbid.toml").write_text("")
    with running(place / "state", settings=place / "outbid.toml") as host:
        host.campaigns(CAMPAIGN)
        for name, changes in {
            "next": {},
            "after": {"spot_check": (CHECKOUT / "bidder" / "spot_check.py").read_text() + "\n# newer\n"},
            "broken": {"worker": "def run(:\n"},
            "dying": {"worker": DIES_AT_ITS_START},
            "headless": {"supervisor": NO_SUPERVISOR},
        }.items():
            host.verb("build", "add", name, str(linked(place / name, **changes)))
        yield host


def bidders(host: Host) -> dict[int, tuple[str, str, str]]:
    """By pid: role, build, digest of supervisor and workers."""
    rows = [row for row in host.processes() if row["role"] in ("supervisor", "worker")]
    return {row["pid"]: (row["role"], row["build"], row["digest"]) for row in rows}


def bid(host: Host, exchange: str) -> int:
    connection = host.connect()
    connection.request("POST", f"/bid/{exchange}", BODY, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def requests(host: Host) -> int:
    return sum(int(row["requests"]) for row in host.report("delivery"))


def restart(host: Host, *argv: str) -> Done:
    done = host.try_verb("restart", "--json", *argv)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def digest(host: Host, name: str) -> str:
    found: str = json.loads((host.state / "builds" / name / "build.json").read_text())["digest"]
    return found


def under_load(host: Host, *steps: tuple[str, ...], clients: int = 6) -> tuple[list[Done], int]:
    """Restarts, one after the other, and how many requests were answered meanwhile; AssertionError unless all were."""

    async def live() -> tuple[list[Done], int]:
        async with (
            steady(host.base, BODY, clients=clients, pause_s=0.005) as busy,
            steady(host.base, BODY, pause_s=0.7) as patient,
        ):
            await busy.until(50)
            done = [await asyncio.to_thread(restart, host, *step) for step in steps]
            await asyncio.gather(busy.until(50), patient.until(10))
        assert (busy.failures, patient.failures) == ([], [])
        return done, busy.answered + patient.answered

    return asyncio.run(live())


def test_three_restarts_and_a_broken_one_under_load_lose_no_request_and_count_each_once(host: Host) -> None:
    before = bidders(host)
    (supervisor,) = host.pids("supervisor")
    counted = requests(host)
    done, answered = under_load(host, ("--build", "next"), ("--build", "broken"), ("--build", "after"), ())
    assert [code for code, _, _ in done] == [0, 1, 0, 0]
    assert "build broken was given up: build broken fails its check: SyntaxError: invalid syntax" in done[1][2]
    after = bidders(host)
    assert {facts[1:] for facts in after.values()} == {("after", digest(host, "after"))}
    assert after[supervisor][0] == "supervisor", "it is the same process"
    assert set(before) & set(after) == {supervisor}, "and each worker is another one"
    assert json.loads(host.verb("build", "list", "--json"))["current"] == "after"
    assert requests(host) - counted == answered


def test_a_build_whose_workers_die_is_given_up_and_the_old_ones_go_on(host: Host) -> None:
    before = bidders(host)
    ((code, record, said),), _ = under_load(host, ("--build", "dying"))
    assert (code, record["done"]) == (1, True)
    assert "a new worker of build dying died" in said
    assert bidders(host) == before
    assert json.loads(host.verb("build", "list", "--json"))["current"] != "dying"


def test_a_build_whose_supervisor_does_not_start_is_given_up_and_its_workers_go_back(host: Host) -> None:
    before = bidders(host)
    ((code, _, said),), _ = under_load(host, ("--build", "headless"))
    assert code == 1
    assert "its supervisor does not start: ValueError: no pace today" in said
    assert sorted(bidders(host).values()) == sorted(before.values())


def test_settings_are_read_again_and_bad_ones_change_nothing(host: Host) -> None:
    assert host.settings is not None
    before = bidders(host)
    for text, why in (
        ("[bidder]\nwait_budget_ms = 'soon'\n", "wait_budget_ms: int is wanted, not 'soon'"),
        ("[tracker]\nlisten = '127.0.0.1:5'\n[bidder]\nwait_budget_ms = 30\n", "tracker.listen: cannot change while"),
    ):
        host.settings.write_text(text)
        refused = host.try_verb("reload")
        assert (refused.returncode, why in refused.stderr) == (1, True), refused.stderr
    assert bidders(host) == before
    host.settings.write_text("[bidder]\nwait_budget_ms = 30\n[exchanges.acme]\nkey = 40\n")

    async def live() -> str:
        async with steady(host.base, BODY, pause_s=0.005) as load:
            said = await asyncio.to_thread(host.verb, "reload")
        assert load.failures == []
        return said

    assert asyncio.run(live()) == "changed: bidder.wait_budget_ms, exchanges.acme\n"
    assert bid(host, "acme") in (200, 204), "an exchange that was not there before"
    assert {facts[1:] for facts in bidders(host).values()} == {facts[1:] for facts in before.values()}


def test_a_tracker_is_renewed_without_a_notice_that_is_refused(host: Host) -> None:
    (before,) = host.pids("tracker")

    async def live() -> Counter[int]:
        got: Counter[int] = Counter()
        renewing = asyncio.ensure_future(asyncio.to_thread(host.verb, "restart", "tracker"))
        while not renewing.done():
            got[(await asyncio.to_thread(host.get, "tracker", "/healthz"))[0]] += 1  # a connection each; 0: none
        await renewing
        return got

    got = asyncio.run(live())
    assert set(got) == {200}, got
    (after,) = host.pids("tracker")
    assert after != before


def test_a_supervisor_that_is_killed_in_the_middle_of_a_restart_comes_back_whole(host: Host) -> None:
    (supervisor,), workers = host.pids("supervisor"), host.pids("worker")
    os.kill(supervisor, signal.SIGUSR2)
    wait_until(lambda: not all(alive(pid) for pid in workers), 20.0, "the first worker to go")
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in workers), 5.0, "adopted workers to die with it")
    wait_until(lambda: host.get("bid", "/readyz")[0] == 200, 20.0, "bids")
    wait_until(lambda: len(host.pids("worker")) == 2, 20.0, "two workers")
    assert len({build for _, build, _ in bidders(host).values()}) == 1
