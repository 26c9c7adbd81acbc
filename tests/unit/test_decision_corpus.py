"""Real requests through the whole decision: every answer is one that an exchange takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from bidder.events.schema import Kind
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
    served = 0
    for line in corpus:
        answer = world.ask(line)
        request = json.loads(line)
        assert answer.status in (200, 204)
        if not request.get("test"):
            assert sum(row.n for row in answer.counted(Kind.REQUEST)) == 1
            assert (answer.reason is None) == (answer.status == 200)
        if answer.status == 200:
            served += 1
            check(request, answer.body)
    assert served > len(corpus) / 4


def check(request: dict[str, Any], body: bytes) -> None:
    response = json.loads(body)
    assert response.keys() == {"id", "cur", "seatbid"}
    assert response["id"] == str(request["id"])
    assert not request.get("cur") or response["cur"] in request["cur"]
    (seatbid,) = response["seatbid"]
    assert seatbid["seat"] == "outbid"
    imps = {str(imp["id"]): imp for imp in request["imp"] if "id" in imp}
    assert len({bid["impid"] for bid in seatbid["bid"]}) == len(seatbid["bid"]) > 0
    for bid in seatbid["bid"]:
        imp = imps[bid["impid"]]
        assert bid["price"] >= float(imp.get("bidfloor") or 0)
        whole = [size for size in imp["banner"].get("format") or [] if size.get("w") and size.get("h")]
        assert not whole or (bid["w"], bid["h"]) in [(size["w"], size["h"]) for size in whole]
        assert bid["mtype"] == 1
        assert bid["adm"]
        assert "${AUCTION_PRICE}" in bid["nurl"]
