"""Video, audio, native and pods: the compiled decision against the slow, obvious auction, over imps of all formats."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.test_auction_reference import DOMAINS, RATES, check, named, records, subsets
from tests.reference import auction as reference
from tests.worlds import ALWAYS, World, banner

SHAPES = [(640, 360), (1280, 720), (400, 300)]
MIMES = ["video/mp4", "video/webm", "audio/mpeg", "image/png"]
FLOORS = [0.4, 1, 1.5]
COMMON = {"adomain": subsets(DOMAINS, 1), "cat": subsets(["IAB3", "IAB25", "iab3"], 1), "attr": subsets([1, 2], 1)}

media = st.lists(
    st.builds(
        lambda shape, mime, more: (
            {"url": f"https://cdn.example/{mime}", "mime": mime, "w": shape[0], "h": shape[1]} | more
        ),
        st.sampled_from(SHAPES),
        st.sampled_from(["video/mp4", "video/mp4", "VIDEO/webm", "audio/mpeg"]),
        records(
            {"bitrate_kbps": st.sampled_from([400, 900]), "delivery": st.sampled_from(["progressive", "streaming"])}
        ),
    ),
    min_size=1,
    max_size=2,
)
specs = records(
    {"protocols": st.sampled_from([[2, 3], [13, 3], [3]])}, duration_s=st.sampled_from([6, 15, 15, 30]), media=media
)
how = st.sampled_from([{}, {}, {}, {"skippable": True}, {"skippable": True, "skip_after_s": 3}, {"linearity": 2}])


@st.composite
def played(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["video", "video", "audio"]))
    spec = draw(specs) | draw(how)
    if kind == "audio":
        spec.pop("linearity", None)
    found = draw(records(COMMON | {"api": subsets([1, 7], 1)}))
    if draw(st.integers(0, 9)) == 9:
        spec["media"][0]["url"] = "http://cdn.example/insecure"
    return found | {"type": kind, "landing_url": "https://acme.example/", kind: spec}


texts = st.sampled_from(["short", "a longer text, with a word or two more"])
own_assets = st.lists(
    st.one_of(
        st.builds(
            lambda kind, text: {"type": kind, "text": text}, st.sampled_from(["title", "sponsored", "desc"]), texts
        ),
        st.builds(
            lambda kind, side, more: {"type": kind, "url": "https://cdn.example/i", "w": side, "h": side} | more,
            st.sampled_from(["icon", "main"]),
            st.sampled_from([50, 300, 600]),
            st.sampled_from([{}, {"mime": "image/png"}]),
        ),
    ),
    min_size=1,
    max_size=5,
)
natives = st.builds(
    lambda assets, more: (
        more | {"type": "native", "landing_url": "https://acme.example/", "native": {"assets": assets}}
    ),
    own_assets,
    records(COMMON),
)
creatives = st.one_of(played(), played(), natives, records(COMMON).map(lambda more: banner(**more)))
bodies = records(
    {"frequency": st.sampled_from([[], [], [], [{"impressions": 1, "per_s": 60}]])},
    targeting=st.builds(lambda deals: {"deal": {"include": deals}}, subsets(["d-1"], 1)),
    bid=st.builds(lambda cpm: {"cpm_usd": cpm}, st.sampled_from(["0.5", "1", "1.2", "2", "30"])),
    creatives=st.lists(creatives, min_size=1, max_size=3),
)
purses = st.builds(reference.Purse, left=st.sampled_from([10**9, 10**9, 2_000_000, 0]))

players = records(
    {
        "minduration": st.sampled_from([0, 6, 10]),
        "maxduration": st.sampled_from([10, 15, 30]),
        "maxextended": st.sampled_from([-1, 0, 15]),
        "rqddurs": st.sampled_from([[15], [6, 30], []]),
        "protocols": st.sampled_from([[2], [2, 3], [7, 11, 13], [5, 6], []]),
        "linearity": st.sampled_from([1, 2]),
        "placement": st.sampled_from([1, 3, 5]),
        "plcmt": st.sampled_from([1, 2, 4]),
        "skip": st.sampled_from([0, 1]),
        "skipmin": st.sampled_from([0, 10, 15]),
        "skipafter": st.sampled_from([0, 4, 5]),
        "boxingallowed": st.sampled_from([0, 1]),
        "minbitrate": st.sampled_from([500, 1000]),
        "maxbitrate": st.sampled_from([500, 300]),
        "battr": subsets([1, 2, 16]),
        "delivery": subsets([1, 2, 3]),
        "durfloors": st.lists(
            records(
                {"mindur": st.sampled_from([7, 15]), "maxdur": st.sampled_from([15, 29])},
                bidfloor=st.sampled_from(FLOORS),
            ),
            max_size=2,
        ),
        "mincpmpersec": st.sampled_from([0.05, 0.1]),
        "poddur": st.sampled_from([10, 30, 60]),
        "maxseq": st.sampled_from([1, 2, 3]),
        "podid": st.sampled_from(["p", "q"]),
        "poddedupe": subsets([1, 2, 3, 4]),
    },
    mimes=st.sampled_from([["video/mp4"], ["Video/WebM", "audio/mpeg"], ["video/mp4", "audio/mpeg"], []]),
    api=st.sampled_from([[1, 7], [7], []]),
).flatmap(lambda found: st.sampled_from([found, found, found | {"w": 640, "h": 360}]))

asked = st.builds(
    lambda wanted, required, ids: wanted | required | ids,
    st.one_of(
        st.sampled_from(
            [{"title": {}}, {"title": {"len": 10}}, {"data": {"type": 1}}, {"data": {"type": 2, "len": 9}}]
        ),
        st.builds(
            lambda image: {"img": image},
            records(
                {
                    "type": st.sampled_from([1, 3]),
                    "w": st.sampled_from([50, 300]),
                    "wmin": st.sampled_from([51, 300]),
                    "hmin": st.sampled_from([40, 601]),
                    "mimes": st.sampled_from([["image/png"], ["image/jpeg"], []]),
                }
            ),
        ),
    ),
    st.sampled_from([{}, {}, {"required": 1}, {"required": 0}]),
    st.sampled_from([*[{"id": 1}] * 9, {}]),
)


@st.composite
def placements(draw: st.DrawFn) -> dict[str, Any]:
    assets = draw(st.lists(asked, min_size=1, max_size=3))
    wanted: Any = {
        "ver": "1.2",
        "assets": [asset | {"id": n} if "id" in asset else asset for n, asset in enumerate(assets, 1)],
    }
    wanted = draw(st.sampled_from([wanted, {"native": wanted}]))
    wanted = draw(st.sampled_from([wanted, json.dumps(wanted), json.dumps(wanted), json.dumps(wanted)[:-1]]))
    return draw(records({"battr": subsets([1, 2], 1)})) | {"request": wanted}


imps = st.builds(
    lambda media, more: more | media,
    st.one_of(
        st.fixed_dictionaries({"video": players}),
        st.fixed_dictionaries({"audio": players}),
        st.fixed_dictionaries({"native": placements()}),
        st.fixed_dictionaries({"video": players, "banner": st.just({"w": 320, "h": 50})}),
        st.fixed_dictionaries({"video": players, "native": placements()}),
        st.fixed_dictionaries({"video": players, "audio": players}),
    ),
    records(
        {
            "secure": st.sampled_from([0, 1]),
            "bidfloor": st.sampled_from(FLOORS),
            "bidfloorcur": st.sampled_from(["USD", "EUR"]),
            "pmp": st.builds(
                lambda deal: {"deals": [{"id": "d-1"} | deal]},
                st.sampled_from(
                    [
                        {},
                        {"bidfloor": 1, "at": 3},
                        {"bidfloor": 1, "at": 3, "durfloors": [{"mindur": 10, "bidfloor": 1.1}]},
                        {"durfloors": [{"maxdur": 15, "bidfloor": 1}], "bidfloorcur": "USD"},
                        {"mincpmpersec": 0.05, "bidfloor": 1.5},
                    ]
                ),
            ),
        }
    ),
)
requests = st.builds(
    lambda written: {"id": "r-1", "imp": [{"id": str(n)} | imp for n, imp in enumerate(written)]},
    st.lists(imps, min_size=1, max_size=3),
)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds")


# No more campaigns than the auction ranks for one imp: in a pod the last of them may be wanted too.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(bodies, purses), min_size=3, max_size=8), st.lists(requests, min_size=6, max_size=12))
def test_decisions_over_all_formats_are_those_of_the_reference(
    directory: Path, written: list[tuple[dict[str, Any], reference.Purse]], asked: list[dict[str, Any]]
) -> None:
    campaigns = named([body for body, _ in written])
    held = {body["id"]: purse for body, (_, purse) in zip(campaigns, written, strict=True)}
    world = World(directory / str(next(NUMBERS)), campaigns, rates=RATES)
    for name, purse in held.items():
        world.fund(name, purse.left)
        world.pace(name, ALWAYS, purse.multiplier)
    for request in asked:
        check(world, campaigns, held, request)
    assert {name: world.left(name) for name in held} == {name: purse.left for name, purse in held.items()}
