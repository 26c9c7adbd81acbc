"""Spot checks: which bids are kept, how often one is checked, and what is said of it."""

import json
from pathlib import Path
from typing import Any

from bidder.ops.log import Log, Sink
from bidder.settings import Exchange
from bidder.spot_check import NS, TOLD_EVERY_NS, SpotCheck
from tests.lint_cases.good import Talk, talk
from tests.worlds import World, banner, campaign, imp, request

EXCHANGES = {"openx": Exchange(key=2)}
Kept = tuple[bytes, bytes, bytes]


class Bids:
    """Stands for the decider: gives what it is told to, once."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.arm = 0

    def sample(self, arm: int = 0) -> Kept | None:
        return self.kept.pop() if self.kept and arm == self.arm else None

    def bid(self, made: Talk) -> None:
        self.kept = [(b"openx", json.dumps(made.request).encode(), json.dumps(made.response).encode())]


class Scene:
    """A spot check whose log is read here."""

    def __init__(self, per_s: float = 1.0) -> None:
        self.bids = Bids()
        self.written: list[bytes] = []
        self.sink = Sink(self.written.append)
        self.counted: list[tuple[int, int, bool]] = []
        self.check = SpotCheck(
            self.bids, EXCHANGES, per_s, Log("worker", self.sink), lambda *counted: self.counted.append(counted)
        )

    def said(self) -> list[dict[str, Any]]:
        assert self.sink.flush()
        lines = [json.loads(line) for line in self.written]
        return [{key: line[key] for key in line if key not in ("ts", "pid", "role")} for line in lines]


def test_one_bid_is_checked_each_time_that_one_is_due() -> None:
    scene = Scene(per_s=4)
    checked = []
    for tick in range(20):  # a second, as the worker ticks
        scene.bids.bid(talk())
        checked.append(scene.check.tick(7 * NS + tick * NS // 20))
    assert sum(checked) == scene.check.checked == 4
    assert scene.said() == []


def test_nothing_is_checked_where_the_settings_say_so() -> None:
    scene = Scene(per_s=0)
    scene.bids.bid(talk())
    assert not scene.check.tick(NS)
    assert scene.bids.kept


def test_bids_of_an_arm_are_checked_whatever_the_settings_say_and_each_is_counted() -> None:
    scene = Scene(per_s=0)
    scene.bids.arm = 2
    for tick, made in enumerate([talk(), talk("banner", {"bid.adomain": []}), talk("banner", {"bid.price": 0.25})] * 8):
        scene.bids.bid(made)
        scene.check.tick(7 * NS + tick * NS // 20)
    assert scene.counted == [(2, 2, valid) for valid in (True, False, True, True, False)]  # a warning breaks none


def test_a_broken_rule_is_told_once_and_counted_then() -> None:
    scene = Scene()
    for second in range(1, 125):
        scene.bids.bid(talk("banner", {"bid.price": 0.25, "bid.adomain": []}))
        scene.check.tick(TOLD_EVERY_NS + second * NS)
    place = {"exchange": "openx", "msg": "a bid breaks a rule"}
    first, second_, *counted = scene.said()
    assert first == place | {"level": "error", "rule": "floor", "path": "seatbid[0].bid[0].price"}
    assert second_ == place | {"level": "warning", "rule": "adomain_absent", "path": "seatbid[0].bid[0].adomain"}
    assert [(line["checked"], line["broken"]["openx floor"]) for line in counted] == [(1, 1), (61, 61), (121, 121)]


def test_nothing_of_request_or_answer_is_told() -> None:
    scene = Scene()
    marked = talk("banner", {"request.user.id": "taint-1", "bid.taint-2": "taint-3", "bid.adomain": ["taint-4 !"]})
    marked.response["seatbid"][0]["seat"] = "taint-5"
    scene.bids.bid(marked)
    scene.check.tick(TOLD_EVERY_NS)
    assert {line.get("rule") for line in scene.said()} == {"seat", "unknown_field", "adomain", None}
    assert b"taint" not in b"".join(scene.written)


def test_a_linter_that_fails_is_told_and_costs_nothing_else() -> None:
    scene = Scene()
    scene.bids.kept = [(b"unheard", b"{}", b"{}")]
    assert scene.check.tick(NS)
    (line,) = scene.said()
    assert (line["msg"], line["error"]) == ("the linter failed", "KeyError")


def test_the_decider_keeps_a_bid_only_when_one_is_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(creatives=[banner()])])
    body = json.dumps(request()).encode()
    world.ask(body)
    assert world.decider.sample() is None  # nobody had asked
    world.ask(request([imp(banner={"format": [{"w": 1, "h": 1}]})]))  # no bid
    first, second = world.ask(body), world.ask(body)
    assert first.status == second.status == 200
    assert world.decider.sample() == (b"openx", body, first.body)
    assert world.decider.sample() is None
