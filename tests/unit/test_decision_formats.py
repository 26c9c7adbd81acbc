"""What players and native placements refuse, as pairs: a request that lets the campaign bid, and one that stops it."""

import json
from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from tests.worlds import World, banner, campaign, imp, request

Creative = dict[str, Any]
Pair = tuple[Creative, dict[str, Any], dict[str, Any], Reason]
LANDING = {"landing_url": "https://acme.example/", "adomain": ["acme.example"], "cat": ["IAB3"]}
FILE = {"url": "https://cdn.acme.example/a.mp4", "mime": "video/mp4", "w": 640, "h": 360, "bitrate_kbps": 800}


def video(kind: str = "video", media: list[dict[str, Any]] | None = None, spec: Any = None, **changes: Any) -> Creative:
    """A spot of 15 seconds, 640x360."""
    whole = {"duration_s": 15, "media": media or [FILE]} | (spec or {})
    return {"id": "cr-1", "type": kind, kind: whole} | LANDING | changes


def native(*assets: dict[str, Any], **changes: Any) -> Creative:
    own = list(assets) or [
        {"type": "title", "text": "Ten letters"[:10]},
        {"type": "icon", "url": "https://cdn.acme.example/icon.png", "w": 80, "h": 80},
        {"type": "main", "url": "https://cdn.acme.example/main.jpg", "w": 1200, "h": 627},
        {"type": "sponsored", "text": "Acme"},
    ]
    return {"id": "cr-1", "type": "native", "native": {"assets": own}} | LANDING | changes


def player(kind: str = "video", imp_has: Any = None, **changes: Any) -> dict[str, Any]:
    return request([{"id": "1", kind: {"mimes": ["video/mp4"]} | changes} | (imp_has or {})])


def placement(*assets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    numbered = [{"id": n} | asset for n, asset in enumerate(assets, 1)]
    return request([{"id": "1", "native": {"request": json.dumps({"ver": "1.2", "assets": numbered})} | changes}])


def wanted(**image: Any) -> dict[str, Any]:
    return {"required": 1, "img": image}


OVERLAY = video(spec={"linearity": 2}, media=[FILE | {"mime": "image/png", "w": 300, "h": 60}])
SKIPPABLE = video(spec={"skippable": True, "skip_after_s": 5})
LATER = [{"mindur": 10, "maxdur": 15, "bidfloor": 2.51}]

PAIRS: dict[str, Pair] = {
    "format": (video(), player(), player("audio"), Reason.FORMAT),
    "mime": (video(), player(mimes=["video/webm", "VIDEO/MP4"]), player(mimes=["video/webm"]), Reason.MIME),
    "mime of no file": (video(), player(mimes=None), player(mimes=["audio/mp4"]), Reason.MIME),
    "protocol": (video(), player(protocols=[2, 5]), player(protocols=[5, 6, 8]), Reason.PROTOCOL),
    "single protocol": (video(), player(protocol=3), player(protocol=6), Reason.PROTOCOL),
    "protocol of old players": (SKIPPABLE, player(protocols=[2, 3]), player(protocols=[2]), Reason.PROTOCOL),
    "minduration": (video(), player(minduration=15), player(minduration=16), Reason.DURATION),
    "maxduration": (video(), player(maxduration=15), player(maxduration=14), Reason.DURATION),
    "maxextended": (
        video(),
        player(maxduration=10, maxextended=5),
        player(maxduration=10, maxextended=4),
        Reason.DURATION,
    ),
    "maxextended without end": (
        video(),
        player(maxduration=10, maxextended=-1),
        player(maxduration=10, maxextended=0),
        Reason.DURATION,
    ),
    "rqddurs": (video(), player(rqddurs=[30, 15], maxduration=5), player(rqddurs=[14, 16]), Reason.DURATION),
    "poddur": (video(), player(poddur=15), player(poddur=14), Reason.DURATION),
    "bit rate too low": (video(), player(minbitrate=800), player(minbitrate=801), Reason.BITRATE),
    "bit rate too high": (video(), player(maxbitrate=800), player(maxbitrate=799), Reason.BITRATE),
    "linearity": (video(), player(linearity=1), player(linearity=2), Reason.LINEARITY),
    "linearity of an overlay": (
        OVERLAY,
        player(mimes=["image/png"], linearity=2),
        player(mimes=["image/png"], linearity=1),
        Reason.LINEARITY,
    ),
    "placement": (
        OVERLAY,
        player(mimes=["image/png"], placement=1),
        player(mimes=["image/png"], placement=4),
        Reason.PLACEMENT,
    ),
    "plcmt": (
        OVERLAY,
        player(mimes=["image/png"], plcmt=2),
        player(mimes=["image/png"], plcmt=4),
        Reason.PLACEMENT,
    ),
    "size of an overlay": (
        OVERLAY,
        player(mimes=["image/png"], w=300, h=60),
        player(mimes=["image/png"], w=299, h=60),
        Reason.SIZE,
    ),
    "boxing": (
        video(),
        player(w=1280, h=721, boxingallowed=0),
        player(w=1280, h=800, boxingallowed=0),
        Reason.SIZE,
    ),
    "delivery": (video(), player(delivery=[1, 2]), player(delivery=[1]), Reason.DELIVERY),
    "download": (video(), player(delivery=[3]), player(delivery=[1]), Reason.DELIVERY),
    "skip": (SKIPPABLE, player(skip=1), player(skip=0), Reason.SKIP),
    "skipmin": (SKIPPABLE, player(skip=1, skipmin=14), player(skip=1, skipmin=15), Reason.SKIP),
    "skipafter": (SKIPPABLE, player(skip=1, skipafter=5), player(skip=1, skipafter=6), Reason.SKIP),
    "battr": (video(attr=[7]), player(battr=[1]), player(battr=[1, 7]), Reason.BATTR),
    "battr of what can be skipped": (SKIPPABLE, player(), player(battr=[16]), Reason.BATTR),
    "api": (video(api=[7]), player(api=[2, 7]), player(api=[2]), Reason.API),
    "btype is of banners": (
        banner(),
        request([imp(video={"mimes": ["x/y"], "btype": [2]})]),
        request([imp(banner={"w": 320, "h": 50, "btype": [2]}, video={"mimes": ["x/y"]})]),
        Reason.BTYPE,
    ),
    "secure": (
        video(media=[FILE | {"url": "http://cdn.acme.example/a.mp4"}]),
        player(imp_has={"secure": 0}),
        player(imp_has={"secure": 1}),
        Reason.SECURE,
    ),
    "audio": (
        video("audio", [{"url": "https://cdn.acme.example/a.mp3", "mime": "audio/mpeg"}]),
        player("audio", mimes=["audio/mpeg"], maxduration=15),
        player("audio", mimes=["audio/mpeg"], maxduration=14),
        Reason.DURATION,
    ),
    "durfloors": (
        video(),
        player(durfloors=[{"mindur": 1, "maxdur": 15, "bidfloor": 2.5}], imp_has={"bidfloor": 9}),
        player(durfloors=LATER),
        Reason.FLOOR,
    ),
    "durfloors of other lengths": (
        video(),
        player(durfloors=[{"mindur": 16, "bidfloor": 9}, {"maxdur": 14, "bidfloor": 9}], imp_has={"bidfloor": 2.5}),
        player(durfloors=[{"mindur": 16, "bidfloor": 1}], imp_has={"bidfloor": 2.51}),
        Reason.FLOOR,
    ),
    "durfloors in another currency": (
        video(),
        player(durfloors=[{"maxdur": 30, "bidfloor": 2}], imp_has={"bidfloorcur": "USD"}),
        player(durfloors=[{"maxdur": 30, "bidfloor": 2}], imp_has={"bidfloorcur": "EUR"}),
        Reason.FLOOR_CURRENCY,
    ),
    "mincpmpersec": (video(), player(mincpmpersec=0.16), player(mincpmpersec=0.17), Reason.FLOOR),
    "asset required": (
        native(),
        placement({"required": 1, "title": {}}, {"data": {"type": 2}}),
        placement({"required": 1, "title": {}}, {"required": 1, "data": {"type": 2}}),
        Reason.ASSETS,
    ),
    "title length": (
        native(),
        placement({"required": 1, "title": {"len": 10}}),
        placement({"required": 1, "title": {"len": 9}}),
        Reason.ASSETS,
    ),
    "data length": (
        native(),
        placement({"required": 1, "data": {"type": 1, "len": 4}}),
        placement({"required": 1, "data": {"type": 1, "len": 3}}),
        Reason.ASSETS,
    ),
    "image size": (
        native(),
        placement(wanted(type=3, w=1200, h=627)),
        placement(wanted(type=3, w=1200, h=628)),
        Reason.ASSETS,
    ),
    "image of a least size": (
        native(),
        placement(wanted(type=3, w=1500, wmin=1200, hmin=600)),
        placement(wanted(type=3, wmin=1201)),
        Reason.ASSETS,
    ),
    "image type": (native(), placement(wanted(type=1, w=80)), placement(wanted(type=2)), Reason.ASSETS),
    "image of any type": (native(), placement(wanted(w=1200)), placement(wanted(w=120)), Reason.ASSETS),
    "image mimes": (
        native(),
        placement(wanted(type=3, mimes=["image/gif", "image/JPEG"])),
        placement(wanted(type=3, mimes=["image/gif"])),
        Reason.ASSETS,
    ),
    "nothing to answer": (native(), placement({"title": {}}), placement({"data": {"type": 2}}), Reason.ASSETS),
    "unreadable native request": (
        native(),
        placement({"title": {}}),
        request([{"id": "1", "native": {"request": '{"assets":[{"id":1,"title":{}}]'}}]),
        Reason.ASSETS,
    ),
    "native battr": (
        native(attr=[7]),
        placement({"title": {}}, battr=[1]),
        placement({"title": {}}, battr=[7]),
        Reason.BATTR,
    ),
    "native api": (native(api=[7]), placement({"title": {}}, api=[7]), placement({"title": {}}, api=[5]), Reason.API),
}


@pytest.mark.parametrize("name", PAIRS)
def test_one_request_lets_it_bid_and_the_other_stops_it(tmp_path: Path, name: str) -> None:
    creative, lets, stops, reason = PAIRS[name]
    world = World(tmp_path, [campaign(creatives=[creative])])
    served, stopped = world.ask(lets), world.ask(stops)
    assert (served.status, served.reason) == (200, None)
    assert (stopped.status, stopped.body, stopped.reason) == (204, b"", reason)


@pytest.mark.parametrize(
    ("protocols", "version"), [([2, 3, 7, 11, 13], "4.2"), ([2, 3, 7], "4.0"), ([3, 2], "3.0"), ([2], "2.0")]
)
def test_a_player_is_answered_in_the_newest_version_that_it_reads(
    tmp_path: Path, protocols: list[int], version: str
) -> None:
    world = World(tmp_path, [campaign(creatives=[video()])])
    (bid,) = world.ask(player(protocols=protocols)).bids
    assert bid["adm"].startswith(f'<VAST version="{version}"')
    assert (bid["mtype"], bid["protocol"], bid["dur"]) == (2, max(protocols), 15)


def test_versions_of_a_creative_do_not_make_it_likelier_than_others(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(creatives=[video(), banner(id="cr-2")])])
    world.fund("c-1", 10**15)
    both = request([imp(video={"mimes": ["video/mp4"]})])
    videos = sum(world.ask(both).bids[0]["mtype"] == 2 for _ in range(400))
    assert 150 < videos < 250


def test_an_imp_of_several_formats_takes_the_best_of_any(tmp_path: Path) -> None:
    cheap, dear = campaign("banner", "1"), campaign("video", "2", creatives=[video()])
    world = World(tmp_path, [cheap, dear, campaign("native", "3", creatives=[native()])])
    several = imp(video={"mimes": ["video/mp4"]}, native={"request": {"assets": [{"id": 1, "title": {"len": 9}}]}})
    assert [bid["cid"] for bid in world.ask(request([several])).bids] == ["video"]
    several["native"]["request"]["assets"][0]["title"]["len"] = 10
    assert [bid["cid"] for bid in world.ask(request([several])).bids] == ["native"]
    assert [bid["cid"] for bid in world.ask(request([imp(video={"mimes": ["x/y"]})])).bids] == ["banner"]


def test_a_banner_beside_a_video_has_the_floor_of_the_imp(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    floors = {"durfloors": [{"bidfloor": 0.1}]}
    assert world.ask(request([imp(video=floors, bidfloor=2.5)])).status == 200
    assert world.ask(request([imp(video=floors, bidfloor=2.51)])).reason == Reason.FLOOR


def test_counters_and_bids_know_the_format(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(creatives=[video()])])
    answer = world.ask(player())
    assert [(row.format, row.w, row.h) for row in answer.rows if row.format] == [(2, 640, 360)]


# --- native answers


def answered(world: World, asked: dict[str, Any], **native_has: Any) -> dict[str, Any]:
    (bid,) = world.ask(request([{"id": "1", "native": {"request": json.dumps(asked)} | native_has}])).bids
    assert bid["mtype"] == 4
    found: dict[str, Any] = json.loads(bid["adm"])
    return found


def test_a_native_answers_what_was_asked_by_the_ids_of_the_request(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(creatives=[native()])])
    asked = [
        {"id": 900, "data": {"type": 1}},
        {"id": 0, "required": 1, "title": {"len": 90}},
        {"title": {"len": 90}},
        {"id": 3, "data": {"type": 12}},
        {"id": 12345678901, "img": {"type": 1}},
    ]
    assets = answered(world, {"ver": "1.2", "assets": asked})["assets"]
    assert [asset["id"] for asset in assets] == [900, 0, 12345678901]
    assert [asset.keys() - {"id"} for asset in assets] == [{"data"}, {"title"}, {"img"}]
    assert assets[1]["title"] == {"text": "Ten letter"}


def test_of_several_assets_of_a_kind_the_first_that_fits_is_taken(tmp_path: Path) -> None:
    titles = [{"type": "title", "text": text} for text in ("much too long a title", 'a "quoted" é', "short")]
    world = World(tmp_path, [campaign(creatives=[native(*titles)])])
    for most, text in ((40, "much too long a title"), (12, 'a "quoted" é'), (11, "short")):
        found = answered(world, {"assets": [{"id": 1, "title": {"len": most}}]})
        assert found["assets"] == [{"id": 1, "title": {"text": text}}]


def test_a_native_answer_speaks_as_its_request_does(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(creatives=[native()])])
    assets = [{"id": 1, "title": {}}]
    events = {"eventtrackers": [{"event": 1, "methods": [2, 1]}]}
    old = answered(world, {"native": {"ver": "1.0", "assets": assets}})["native"]
    assert (old["ver"], "imptrackers" in old, "eventtrackers" in old) == ("1.0", True, False)
    new = answered(world, {"ver": "1.2", "assets": assets} | events)
    assert (new["ver"], "imptrackers" in new, [one["method"] for one in new["eventtrackers"]]) == ("1.2", False, [1])
    assert answered(world, {"assets": assets}, ver="1.1")["ver"] == "1.1"
    assert answered(world, {"assets": assets, "ver": "1.0"}, ver="1.1")["ver"] == "1.0"
