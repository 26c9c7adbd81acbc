"""The switchboard: verbs, an edited file and other hosts flip; board and purses show it at once, the file keeps it."""

import json
from pathlib import Path
from typing import Any

import pytest

from bidder.features import Feature
from bidder.ops import durable
from bidder.ops.audit import AuditTrail
from bidder.ops.control import ControlError
from bidder.ops.switchboard import Switchboard
from bidder.ops.switches import Flip, SwitchError, SwitchFile, encode
from bidder.outcome import Reason
from tests.worlds import EXCHANGES, World, campaign, imp, request

HOST = "0123456789ab"
EXCHANGE_KEYS = {name: EXCHANGES[name].key for name in ("openx", "pubmatic")}


class Desk:
    """A world with a switchboard. What it told other hosts is in `told`."""

    def __init__(self, directory: Path, host: str = HOST) -> None:
        self.state = directory
        directory.mkdir(exist_ok=True)
        (directory / "host").write_text(f"{host}\n")
        self.world = World(directory / "world", [campaign("c-1"), campaign("c-2", "1", advertiser="other")])
        self.told: list[bytes] = []
        self.board = self.started(host)

    def started(self, host: str = HOST) -> Switchboard:
        board = Switchboard(
            self.state, host, self.world.board, self.world.purses, EXCHANGE_KEYS,
            book=lambda: self.world.book, publish=self.told.append, audit=AuditTrail(self.state),
        )  # fmt: skip
        board.apply()
        return board

    def flip(self, position: str, **what: Any) -> dict[str, Any]:
        return self.board.switch({"off": position == "off", "who": "ann@desk", **what})

    def edit(self, *flips: dict[str, Any]) -> None:
        (self.state / "switches.json").write_text(json.dumps({"switches": list(flips)}))

    def winner(self) -> str | Reason:
        answer = self.world.ask(request([imp()]))
        return answer.bids[0]["cid"] if answer.bids else Reason(answer.reason or 0)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("what", "then"),
    [
        ({}, Reason.OFF),
        ({"exchange": "openx"}, Reason.OFF),
        ({"exchange": "pubmatic"}, "c-1"),
        ({"campaign": "c-1"}, "c-2"),
        ({"advertiser": "acme"}, "c-2"),
        ({"advertiser": "other"}, "c-1"),
    ],
)
def test_the_next_request_sees_a_flip_and_the_one_after_it_sees_it_back(
    desk: Desk, what: dict[str, str], then: str | Reason
) -> None:
    assert desk.winner() == "c-1"
    desk.flip("off", **what)
    assert desk.winner() == then
    desk.flip("on", **what)
    assert desk.winner() == "c-1"


def test_a_feature_is_off_for_all(desk: Desk) -> None:
    desk.flip("off", feature="video")
    desk.flip("off", feature="deals")
    assert desk.world.board.features_off == Feature.VIDEO | Feature.DEALS
    desk.flip("on", feature="video")
    assert desk.world.board.features_off == Feature.DEALS


def test_an_advertiser_stays_off_in_the_campaigns_of_the_next_book(desk: Desk) -> None:
    desk.flip("off", advertiser="acme")
    desk.world.publish([campaign("c-3", "9"), campaign("c-2", "1", advertiser="other")])
    desk.world.fund("c-3", 10**9)
    desk.board.apply()
    assert desk.winner() == "c-2"
    desk.flip("on", advertiser="acme")
    assert desk.winner() == "c-3"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"exchange": "openy"}, "no exchange 'openy'; there are openx, pubmatic"),
        ({"feature": "vidoe"}, "no feature 'vidoe'; there are shading"),
        ({"campaign": "c-9"}, "no campaign 'c-9' in this host's book"),
        ({"advertiser": "c-1"}, "no advertiser 'c-1'"),
        ({"exchange": "openx", "campaign": "c-1"}, "one switch at a time: exchange or campaign"),
    ],
)
def test_what_is_not_there_cannot_be_switched(desk: Desk, what: dict[str, str], said: str) -> None:
    with pytest.raises(ControlError, match=said):
        desk.flip("off", **what)
    assert desk.board.switches.flips == []


def test_every_flip_says_when_who_and_where_and_is_in_the_audit(desk: Desk) -> None:
    answer = desk.flip("off", campaign="c-1")
    (flip,) = answer["flips"]
    assert (flip["kind"], flip["name"], flip["off"], flip["who"], flip["host"]) == (
        "campaign", "c-1", True, "ann@desk", HOST,
    )  # fmt: skip
    assert (answer["campaigns"], answer["everything"]) == (["c-1"], False)
    (record,) = AuditTrail(desk.state).read()
    assert (record.actor, record.verb, record.subject, record.detail["position"]) == (
        "ann@desk", "switch", "campaign c-1", "off",
    )  # fmt: skip


def test_switches_outlive_the_supervisor(desk: Desk) -> None:
    desk.flip("off", campaign="c-1")
    before = desk.board.switches.flips
    desk.world.purses.switch_off([])
    assert desk.started().switches.flips == before
    assert desk.winner() == "c-2"


def test_an_edited_file_is_taken_over_under_the_hand_that_wrote_it(desk: Desk) -> None:
    desk.flip("off", exchange="pubmatic")
    desk.edit({"kind": "campaign", "name": "c-1", "off": True}, {"kind": "feature", "name": "audio", "off": True})
    desk.board.look()
    assert desk.winner() == "c-2"
    assert desk.world.board.features_off == Feature.AUDIO
    assert desk.board.switches.off("exchange") == [], "what the file leaves out is on"
    (flip,) = (flip for flip in desk.board.switches.flips if flip.kind == "campaign")
    assert flip.who.endswith(", by hand")
    assert (flip.host, flip.at_ms > 0) == (HOST, True)
    assert SwitchFile(desk.state).read() == desk.board.switches.flips, "and is written down with its stamps"
    assert [record.subject for record in AuditTrail(desk.state).read()][1:] == [
        "campaign c-1", "feature audio", "exchange pubmatic",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"switches": [', "not a file of switches"),
        ('{"switches": [{"kind": "exchange", "name": "pubmatic"}]}', "`off`"),
        ('{"switches": [{"kind": "colour", "name": "red", "off": true}]}', "no switch of kind 'colour'"),
        ('{"switches": [{"kind": "exchange", "name": "openy", "off": true}]}', "no exchange 'openy'"),
        ('{"switches": [{"kind": "campaign", "name": "c-9", "off": true}]}', "no campaign 'c-9'"),
    ],
)
def test_a_broken_file_is_refused_by_name_and_what_was_in_force_stays(desk: Desk, text: str, said: str) -> None:
    desk.flip("off", campaign="c-1")
    (desk.state / "switches.json").write_text(text)
    desk.board.look()
    assert desk.winner() == "c-2"
    assert said in desk.board.as_dict()["refused"]
    assert desk.started().switches.off("campaign") == ["c-1"], "also after a restart, from the last good state"
    desk.flip("on", campaign="c-1")
    assert desk.board.as_dict()["refused"] is None, "the next flip writes the file anew"
    assert desk.winner() == "c-1"


def test_a_broken_file_that_nothing_is_known_beside_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "switches.json").write_text("{")
    with pytest.raises(SwitchError, match="mend it"):
        Desk(tmp_path)


def test_a_file_of_before_flips_had_a_time_is_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    key = desk.world.keys["c-1"]
    (tmp_path / "switches.json").write_text(
        json.dumps({"everything": False, "exchanges": ["pubmatic"], "campaigns": [key]})
    )
    board = desk.started()
    assert desk.winner() == "c-2"
    assert (board.switches.off("exchange"), board.switches.off("campaign")) == (["pubmatic"], [f"#{key}"])
    assert all(flip.at_ms for flip in board.switches.flips), "so that it can be told to other hosts"


def test_a_removed_file_is_put_back(desk: Desk) -> None:
    desk.flip("off", campaign="c-1")
    (desk.state / "switches.json").unlink()
    desk.board.look()
    assert SwitchFile(desk.state).read() == desk.board.switches.flips
    assert desk.winner() == "c-2"


def test_a_flip_that_cannot_be_kept_is_in_force_and_says_so(desk: Desk) -> None:
    (desk.state / "switches.kept.json").mkdir()
    with pytest.raises(ControlError, match=r"campaign c-1: off, but not kept: .*switches.kept.json"):
        desk.flip("off", campaign="c-1")
    assert desk.winner() == "c-2"


def test_a_flip_is_not_lost_to_an_edit_that_was_under_way(desk: Desk) -> None:
    desk.flip("off", exchange="pubmatic")
    desk.edit({"kind": "exchange", "name": "pubmatic", "off": True}, {"kind": "feature", "name": "audio", "off": True})
    desk.flip("off", campaign="c-1")
    desk.board.look()
    assert desk.board.switches.off("campaign") == ["c-1"]
    assert desk.board.switches.off("feature") == ["audio"]
    assert SwitchFile(desk.state).read() == desk.board.switches.flips


@pytest.mark.parametrize("at", range(2))
def test_no_edit_is_lost_that_comes_while_the_file_is_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Before the file takes its place (0), and right after (1); in both a moment of the disk goes by."""
    sync, moments = durable.sync_directory, 0

    def edited(directory: Path) -> None:
        nonlocal moments
        sync(directory)
        if moments == at:
            desk.edit(
                {"kind": "campaign", "name": "c-1", "off": True}, {"kind": "feature", "name": "audio", "off": True}
            )
        moments += 1

    desk.flip("off", exchange="pubmatic")
    monkeypatch.setattr(durable, "sync_directory", edited)
    desk.flip("off", campaign="c-1")
    monkeypatch.undo()
    desk.board.look()
    assert moments >= 2 - (at == 0)
    assert desk.board.switches.off("feature") == ["audio"]
    assert desk.board.switches.off("campaign") == ["c-1"]
    assert SwitchFile(desk.state).read() == desk.board.switches.flips


def test_what_another_host_says_holds_here_and_is_not_audited_twice(desk: Desk) -> None:
    theirs = Flip("campaign", True, "c-1", 5_000, "bob@there", "ba9876543210")
    desk.board.hear(encode([theirs, Flip("colour", True, "red", 1, "later", "build")]))
    assert desk.winner() == "c-2"
    assert AuditTrail(desk.state).read() == []
    assert desk.started().switches.flips == desk.board.switches.flips, "a kind that this build does not know is kept"
    desk.board.hear(b"\xc1")
    desk.flip("on", campaign="c-1")
    desk.board.hear(encode([theirs]))
    assert desk.winner() == "c-1", "the later flip wins"


def test_what_a_verb_wrote_while_no_supervisor_ran_is_taken_over_and_audited_once(desk: Desk) -> None:
    desk.flip("off", exchange="pubmatic")
    written = Flip("campaign", True, "c-1", desk.board.switches.flips[0].at_ms + 1, "ann@desk", HOST)
    SwitchFile(desk.state).write([*desk.board.switches.flips, written], in_force=False)
    for _ in range(2):
        assert desk.started().switches.flips == [written, *desk.board.switches.flips]
    assert desk.winner() == "c-2"
    trail = [(record.actor, record.subject) for record in AuditTrail(desk.state).read()]
    assert trail == [("ann@desk", "exchange pubmatic"), ("ann@desk", "campaign c-1")]
