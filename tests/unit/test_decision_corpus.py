"""Real requests through the whole decision: every answer is one that an exchange takes, without a warning."""

import json
from pathlib import Path

import pytest

from bidder.events.schema import Kind
from bidder.openrtb.lint import Severity, lint
from bidder.outcome import Reason
from tests.corpus_table import PAGE, Tally
from tests.worlds import World, banner, campaign

SIZES = [(300, 250), (320, 50), (728, 90), (160, 600), (300, 600)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    creatives = [banner(id=f"{w}x{h}", w=w, h=h) for w, h in SIZES]
    world = World(tmp_path, [campaign(f"c-{n}", f"{n}.5", creatives=creatives) for n in range(1, 4)])
    for n in range(1, 4):
        world.fund(f"c-{n}", 10**15)
    return world


def test_every_request_of_the_corpus_gets_an_answer_that_holds_together(world: World, corpus: list[bytes]) -> None:
    served, warned = 0, set[str]()
    for line in corpus:
        answer = world.ask(line)
        request = json.loads(line)
        assert answer.status in (200, 204)
        if not request.get("test"):
            assert sum(row.n for row in answer.counted(Kind.REQUEST)) == 1
            assert (answer.reason is None) == (answer.status == 200)
        if answer.status == 200:
            served += 1
            check(answer.body)
            warned |= {found.rule for found in lint(line, answer.body)}
    assert served > len(corpus) / 4
    assert warned == set()


def check(body: bytes) -> None:
    """What is our way of answering; the linter has looked at the rest."""
    response = json.loads(body)
    assert response.keys() == {"id", "cur", "seatbid"}
    (seatbid,) = response["seatbid"]
    assert len({bid["impid"] for bid in seatbid["bid"]}) == len(seatbid["bid"]) > 0


def test_the_corpus_against_a_book_of_every_format(tmp_path: Path, corpus: list[bytes]) -> None:
    tally = Tally(tmp_path, corpus)
    assert [rule for severity, rule in tally.found if severity == Severity.ERROR.value] == []
    assert tally.rows["status 200"] + tally.rows["status 204"] == len(corpus)
    assert tally.rows["status 204"] == tally.reasons.total()
    assert not tally.reasons.keys() & {Reason.NONE.name, Reason.BROKEN.name}
    kinds = [f"bids, {name}" for name in ("banner", "video", "audio", "native")]
    others = ["through a deal", "above a floor in another currency than USD"]
    for name in [*kinds, *(f"bids {other}" for other in others), "answers of several bids"]:
        assert tally.rows[name] > 0, name
    assert tally.markdown() in PAGE.read_text(encoding="utf-8"), "python -m tests.corpus_table --write"
