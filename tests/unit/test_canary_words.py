"""A canary in words: everything that a person decides by stands in the table, each figure in its own unit."""

from pathlib import Path

import pytest

from bidder.canary.words import decision, findings, share, status
from bidder.cli.main import build_parser
from tests.unit.test_conductor import PLAN, Scene, replace_plan


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_running_canary_is_shown_side_by_side_with_its_baseline(scene: Scene) -> None:
    plan = replace_plan(steps=[100, 2_500], exchange="openx", max_spend=5 * 10**10, auto_promote=True)
    scene.conductor.start(plan, "ann", [])
    scene.seconds(16)
    lines = status(scene.canary).splitlines()
    assert lines[0].endswith("build b2 against b1, step 1 of 2, on 1 % of the traffic")
    assert "by ann; only openx; steps of 20 s at least: 1 %, 25 %; promotes itself" in lines[1]
    assert lines[2].startswith("after 14 s judged: go on: as good so far; 26 s to go")
    assert lines[3] == "billed 0.000000000 USD; 11.200000000 USD with what was offered lately; 50.000000000 USD may be"
    (bids,) = [line for line in lines if line.startswith("bid rate")]
    assert bids.split()[2:5] == ["50.000%", "50.000%", "+0.0%"]
    assert bids.endswith("not worse")
    (offered,) = [line for line in lines if line.startswith("offered")]
    assert "2.0000 USD" in offered
    (errors,) = [line for line in lines if line.startswith("errors")]
    assert "pt to" in errors


def test_the_end_stands_below_with_its_reason(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.conductor.abort("bob", "wrong build")
    assert status(scene.canary).splitlines()[-1] == "aborted at 2027-01-15 08:00:00: wrong build"


def test_every_decision_is_a_line_and_its_figures_are_a_table(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", ["canary", "start", "--build", "b2"])
    scene.seconds(14)
    scene.conductor.abort("bob", "")
    records = scene.audit.read()
    told = [
        decision(record.at_ms / 1000, record.actor, record.verb, record.detail, table=False).split("  ", 1)[1]
        for record in records
    ]
    assert " ".join(told[0].split()) == "ann start of build b2 against b1: canary start --build b2"
    assert " ".join(told[1].split()) == "supervisor slice 1 % of the traffic"
    assert " ".join(told[-1].split()) == "bob end aborted: no reason was given"
    last = decision(records[-1].at_ms / 1000, "bob", records[-1].verb, records[-1].detail, table=True)
    assert len(last.splitlines()) == 1 + len(findings(records[-1].detail["verdict"]))


def test_slices_are_in_percent() -> None:
    assert [share(buckets) for buckets in (1, 50, 100, 2_500)] == ["0.01 %", "0.5 %", "1 %", "25 %"]


@pytest.mark.parametrize(
    ("words", "steps", "min_s"),
    [
        ("--slice 1%", [100], None),
        ("--slice 0.5 --min-time 5m", [50], 300),
        ("--steps 1,5,25,50 --min-time 90s", [100, 500, 2_500, 5_000], 90),
    ],
)
def test_slices_and_times_are_read_as_people_write_them(words: str, steps: list[int], min_s: int | None) -> None:
    args = build_parser(["canary"]).parse_args(["canary", "start", "--build", "b", *words.split()])
    assert (args.steps or [args.slice], args.min_time) == (steps, min_s)
