"""The compiled decision against the slow, obvious auction: same bids, same reasons, same purses.

Where the reference has several equal offers or creatives, any of them is right.
"""

import itertools
import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.campaigns.rates import Rates
from bidder.events.schema import Kind
from bidder.outcome import Reason
from tests.reference import auction as reference
from tests.reference import formats
from tests.worlds import ALWAYS, EXCHANGES, NOW_S, World, banner

NOW = datetime.fromtimestamp(NOW_S, UTC)
SIZES = [(320, 50), (300, 250), (728, 90)]
DEALS = ["d-1", "d-2", "d-3"]
MARKUP = [
    "<b>ad</b>",
    "<b>ad</b>",
    "<img src='http://cdn.example/a.png'>",
    "<SCRIPT src='https://cdn.example/'></SCRIPT>",
    "<iframe src='https://cdn.example/'></iframe>",
]
PRICES = ["0.5", "1", "1", "1.000001", "2"]
FLOORS = [0, 0, 0.4, 1, 1.000001, 1.5]
RATES = Rates("2026-09-20", NOW_S + 1, {"EUR": (23, 25), "GBP": (79, 100), "JPY": (3_147, 20), "BHD": (377, 1_000)})
PER_USD = {"USD": Fraction(1)} | {name: Fraction(*rate) for name, rate in RATES.per_usd.items()}
CURRENCIES = ["USD", "EUR", "EUR", "GBP", "BHD", "XAU"]  # of gold there is no rate
DOMAINS = ["acme.example", "shop.acme.example", "me.example"]


def subsets(values: list[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    """Often empty: a rule that always stops the bid leaves the others untried."""
    return st.one_of(st.just([]), st.lists(st.sampled_from(values), unique=True, max_size=most))


@st.composite
def records(
    draw: st.DrawFn, /, optional: dict[str, st.SearchStrategy[Any]], **given: st.SearchStrategy[Any]
) -> dict[str, Any]:
    """A JSON object with every key of `given`, and some of `optional`."""
    names = draw(st.sets(st.sampled_from(sorted(optional)), max_size=2))
    return {name: draw(strategy) for name, strategy in given.items()} | {
        name: draw(optional[name]) for name in sorted(names)
    }


sizes = st.sampled_from([{"w": w, "h": h} for w, h in SIZES])
creatives = st.builds(
    lambda size, changes: banner(**size, **changes),
    sizes,
    records(
        {
            "attr": subsets([1, 2, 3]),
            "api": subsets([3, 5]),
            "cat": subsets(["IAB25", "IAB25-3", "IAB3"]),
            "adomain": subsets(DOMAINS),
            "language": st.sampled_from(["en", "fr"]),
            "bundle": st.sampled_from(["com.Game", "com.other"]),
            "approval": st.just({"openx": "refused"}),
            "adm": st.sampled_from(MARKUP),
        }
    ),
)
expanding = st.sampled_from([[2], [2, 4]]).map(lambda ways: banner(w=320, h=50, attr=[3], expdir=ways))
deals = records(
    {
        "bidfloor": st.sampled_from(FLOORS),
        "bidfloorcur": st.sampled_from(CURRENCIES),
        "at": st.sampled_from([1, 2, 3, 3]),
        "guar": st.sampled_from([0, 1, 1]),
        "wseat": st.sampled_from([["outbid"], ["other"], ["other", "outbid"], []]),
        "wadomain": st.sampled_from([["acme.example"], ["example"], ["shop.acme.example"]]),
    },
    id=st.sampled_from(DEALS),
)
banners = records(
    {
        "format": st.lists(sizes, max_size=2),
        "wmin": st.sampled_from([300, 320, 400]),
        "hmax": st.sampled_from([50, 100, 250]),
        "battr": subsets([1, 2, 3]),
        "btype": subsets([1, 2, 3, 4]),
        "expdir": subsets([2, 4]),
        "api": subsets([3, 5]),
    },
    format=st.lists(
        st.one_of(
            *[sizes] * 4,
            st.sampled_from(
                [{"wratio": 32, "hratio": 5}, {"wratio": 6, "hratio": 5, "wmin": 301}, {"wratio": 8, "hratio": 1}]
            ),
        ),
        min_size=1,
        max_size=3,
    ),
)
imps = records(
    {
        "secure": st.sampled_from([0, 1]),
        "bidfloor": st.sampled_from(FLOORS),
        "bidfloorcur": st.sampled_from(CURRENCIES),
    },
    banner=banners,
    pmp=st.fixed_dictionaries(
        {
            "private_auction": st.sampled_from([0, 0, 0, 1]),
            "deals": st.lists(deals, max_size=3, unique_by=lambda d: d["id"]),
        }
    ),
)
NO_ID = {"banner": {"w": 320, "h": 50}}
NO_BANNER = {"id": "v", "video": {"mimes": ["video/mp4"]}}
SAME_ID = {"id": "0", "banner": {"w": 320, "h": 50}}  # as the first of `imps` in a request
imp_lists = st.builds(
    lambda written, odd: [{"id": str(n)} | imp for n, imp in enumerate(written)] + odd,
    st.lists(imps, min_size=1, max_size=3),
    st.sampled_from([*[[]] * 9, [NO_ID], [NO_BANNER], [SAME_ID]]),
)


requests = records(
    {
        "wseat": st.sampled_from([["outbid"], ["other", "outbid"], [], ["other"]]),
        "bseat": st.sampled_from([["other"], [], [], ["outbid"]]),
        "cur": st.sampled_from([["USD"], ["EUR", "USD"], [], ["EUR"], ["XAU", "JPY", "EUR"], ["BHD"], ["XAU"]]),
        "bcat": subsets(["IAB25", "iab25-3", "IAB2"]),
        "acat": st.sampled_from([[], [], [], ["IAB25", "iab2"], ["IAB3"]]),
        "wlang": st.sampled_from([[], [], ["EN"], ["fr"]]),
        "badv": subsets(["ACME.example", "shop.acme.example", "e.example"]),
        "bapp": subsets(["com.game", "com.nothing"]),
        "test": st.sampled_from([0, 1]),
        "device": st.sampled_from([{"geo": {"country": "USA"}}, {"geo": {"country": "CAN"}}]),
    },
    id=st.just("r-1"),
    imp=imp_lists,
)
bodies = records(
    {
        "flight": st.sampled_from(
            [{"end": "2026-09-21T14:13:20Z"}, {"start": "2026-09-21T14:13:20Z"}, {"start": "2026-09-21T14:13:21Z"}]
        ),
        "frequency": st.sampled_from([[], [{"impressions": 1, "per_s": 60}]]),
    },
    targeting=st.builds(
        lambda deals, countries: {"deal": {"include": deals}, "country": {"include": countries}},
        subsets(DEALS),
        st.sampled_from([*[[]] * 5, ["USA"]]),
    ),
    bid=st.builds(lambda cpm: {"cpm_usd": cpm}, st.sampled_from(PRICES)),
    creatives=st.lists(st.one_of(*[creatives] * 6, expanding), min_size=1, max_size=3),
)
purses = st.builds(
    reference.Purse,
    left=st.sampled_from([10_000_000, 10_000_000, 5_000_000, 2_000_000, 0]),
    off=st.sampled_from([False, False, False, True]),
    throttled=st.sampled_from([False, False, False, True]),
    multiplier=st.sampled_from([65_536, 65_536, 65_535, 32_768, 1]),
)


def named(written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        body
        | {
            "id": f"c-{n}",
            "advertiser": "acme",
            "creatives": [creative | {"id": f"cr-{m}"} for m, creative in enumerate(body["creatives"])],
        }
        for n, body in enumerate(written)
    ]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worlds")


NUMBERS = itertools.count()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(bodies, purses), min_size=4, max_size=12), st.lists(requests, min_size=6, max_size=12))
def test_decisions_are_those_of_the_reference(
    directory: Path, written: list[tuple[dict[str, Any], reference.Purse]], asked: list[dict[str, Any]]
) -> None:
    campaigns = named([body for body, _ in written])
    held = {body["id"]: purse for body, (_, purse) in zip(campaigns, written, strict=True)}
    world = World(directory / str(next(NUMBERS)), campaigns, rates=RATES)
    for name, purse in held.items():
        world.fund(name, purse.left)
        world.pace(name, 0 if purse.throttled else ALWAYS, purse.multiplier)
        world.purses.set_off(world.purses.slot_of(world.keys[name]), purse.off)
    for request in asked:
        check(world, campaigns, held, request)
    assert {name: world.left(name) for name in held} == {name: purse.left for name, purse in held.items()}


def check(
    world: World, campaigns: list[dict[str, Any]], held: dict[str, reference.Purse], request: dict[str, Any]
) -> None:
    place = reference.Place("openx", EXCHANGES["openx"].seat, NOW, PER_USD)
    answer = world.ask(request)
    bids: dict[str, list[dict[str, Any]]] = {}
    for bid in answer.bids:
        bids.setdefault(bid["impid"], []).append(bid)
    pods = formats.Pods()
    reason = reference.gate(request, place.seat, PER_USD)
    test = bool(request.get("test"))
    spent = 0
    if reason is Reason.NONE:
        for imp in request["imp"]:
            why, others = reference.imp_reason(request, imp), campaigns
            given = [] if why is not Reason.NONE else bids.pop(imp["id"], [])
            more = why is Reason.NONE
            while more:
                offers, why = reference.offers(others, held, request, imp, place, pods)
                assert bool(given) == bool(offers), (imp, offers, why)
                if not given:
                    break
                bid = given.pop(0)
                paid = check_bid(bid, offers)
                spent += paid
                held[bid["cid"]].left -= 0 if test else paid
                more = pods.place(imp, creative_of(bid, campaigns))
                others = [campaign for campaign in others if campaign["id"] != bid["cid"]]
            assert given == [], "more bids than the imp takes"
            reason = reference.closest(reason, why)
    assert bids == {}
    if test:
        assert answer.rows == []
    elif answer.bids:
        assert (answer.status, answer.reason) == (200, None)
        assert sum(row.n for row in answer.counted(Kind.BID)) == len(answer.bids)
        assert sum(row.amount for row in answer.counted(Kind.BID)) == spent
        assert json.loads(answer.body)["cur"] == reference.currency_of(request, PER_USD)
    else:
        assert (answer.status, answer.reason) == (204, reason)


def creative_of(bid: dict[str, Any], campaigns: list[dict[str, Any]]) -> dict[str, Any]:
    (campaign,) = [campaign for campaign in campaigns if campaign["id"] == bid["cid"]]
    (creative,) = [creative for creative in campaign["creatives"] if creative["id"] == bid["crid"]]
    return creative | {"of": campaign["id"]}


def check_bid(bid: dict[str, Any], offers: list[reference.Offer]) -> int:
    """The bid is the dearest offer of those that stand highest, or one of them; its price in USD."""
    standing, best = max((offer.standing, offer.price) for offer in offers)
    (offer,) = [offer for offer in offers if offer.campaign == bid["cid"]]
    assert (offer.standing, offer.price) == (standing, best)
    assert offer.asked == round(bid["price"] * 1_000_000)
    assert (bid.get("dealid"), bid["crid"] in offer.creatives) == (offer.deal, True)
    return best
