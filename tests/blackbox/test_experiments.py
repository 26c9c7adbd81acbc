"""An experiment on a real host: begun and ended by a verb, without a restart, and told apart in the reports."""

import contextlib
import json

import pytest

from bidder._fast.slice import bucket
from tests.blackbox.lines import campaign, everybody_bids, request
from tests.hosts import Host

pytestmark = pytest.mark.blackbox

REQUESTS = 200


def statuses(host: Host, deal: str) -> dict[str, int]:
    """Of a request each, by its id."""
    found = {}
    with contextlib.closing(host.connect()) as line:
        for n in range(REQUESTS):
            line.request("POST", "/bid/generic", request(deal, id=f"x-{n}"))
            answer = line.getresponse()
            answer.read()
            found[f"x-{n}"] = answer.status
    return found


def test_an_experiment_splits_the_traffic_as_it_says_until_it_is_stopped(host: Host) -> None:
    host.campaigns(campaign("exp"))
    arms = ["--arm", "control=20%", "--arm", "new=20%,deals=off"]
    begun = json.loads(host.verb("experiment", "start", "deals", *arms, "--json"))
    assert begun["served"]
    pids = host.pids("worker")
    try:
        (experiment,) = json.loads(host.verb("experiment", "list", "--json"))
        ranges = {arm["name"]: range(arm["first"], arm["first"] + arm["buckets"]) for arm in experiment["arms"]}
        found = statuses(host, "exp")
        names = {
            key: next((n for n, buckets in ranges.items() if bucket(key.encode()) in buckets), "stable")
            for key in found
        }
        assert {key: 204 if names[key] == "new" else 200 for key in found} == found
        rows = {row["arm"]: row for row in host.report("delivery", "--by", "arm")}
        for arm in ("control", "new"):
            requests = sum(name == arm for name in names.values())
            assert requests > REQUESTS // 10
            assert (rows[f"deals/{arm}"]["requests"], rows[f"deals/{arm}"]["bids"]) == (
                requests,
                requests if arm == "control" else 0,
            )
        said = json.loads(host.verb("experiment", "status", "deals", "--json"))
        assert said["arms"]["new"]["off"] == ["deals"]
        assert [one["says"] for one in said["arms"]["new"]["against_first"]] == ["open"] * 3
        assert "new 20% without deals" in host.verb("experiment", "status", "deals")
        refused = host.try_verb("experiment", "start", "more", "--arm", "a=40%", "--arm", "b=40%")
        assert refused.returncode == 1
        assert "no room for an arm of 40 %" in refused.stderr
    finally:
        assert json.loads(host.verb("experiment", "stop", "deals", "--json"))["served"]
    assert set(statuses(host, "exp").values()) == {200}
    assert everybody_bids(host, "exp")
    assert host.pids("worker") == pids, "nobody was started again"
    done = [json.loads(line) for line in (host.state / "audit.jsonl").read_text().splitlines()]
    assert [(one["verb"], one["subject"]) for one in done if one["verb"].startswith("experiment")] == [
        ("experiment start", "deals"),
        ("experiment stop", "deals"),
    ]


@pytest.mark.parametrize(
    ("arms", "named"),
    [
        (["a=10%"], "at least two arms"),
        (["a=10%", "b=ten"], "'ten' is no share"),
        (["a=10%", "a=10%"], "a name of its own"),
        (["a=10%", "b=10%,vidoe=off"], "no feature 'vidoe'"),
        (["a=10%", "b=10%,video=maybe"], "'video=maybe' is not"),
        (["a=10%", "b=0%"], "'0%' is no share"),
    ],
)
def test_arms_that_cannot_be_are_refused_by_name(host: Host, arms: list[str], named: str) -> None:
    done = host.try_verb("experiment", "start", "wrong", *[word for arm in arms for word in ("--arm", arm)])
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
