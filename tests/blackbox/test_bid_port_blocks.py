"""What publishers and exchanges forbid, over HTTP: for every rule a request that may be bid on and one that may not.

Each campaign has a banner size of its own. Campaigns bid 2 dollars CPM.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.blackbox.bid_port import Asker, Json, Sizes, campaign, request
from tests.hosts import Host

pytestmark = pytest.mark.blackbox

SIZES = Sizes(4_100)
Patch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One campaign; what may be bid on and what may not."""

    name: str
    campaign: Json
    allowed: list[Patch]
    forbidden: list[Patch]


def banner(**fields: Any) -> Patch:
    return {"imp": {"banner": fields}}


def imp(**fields: Any) -> Patch:
    return {"imp": fields}


def deal(**fields: Any) -> Patch:
    """A request with one deal, besides the open auction."""
    return {"imp": {"pmp": {"deals": [{"id": "d-blocks"} | fields]}}}


def private(**fields: Any) -> Patch:
    return {"imp": {"pmp": {"private_auction": 1, "deals": [{"id": "d-blocks"} | fields]}}}


ON_DEAL = {"targeting": {"deal": {"include": ["d-blocks"]}}}
RULES = [
    Rule(
        "floor",
        {},
        [imp(bidfloor=2), imp(bidfloor=1.999999, bidfloorcur=None), imp(bidfloor=0), imp(bidfloor=None)],
        [imp(bidfloor=2.000001), imp(bidfloor=1, bidfloorcur="EUR"), imp(bidfloor="2.5")],
    ),
    Rule(
        "floor of a deal",
        ON_DEAL,
        [
            deal(bidfloor=2),
            {"imp": {"bidfloor": 9, "pmp": {"deals": [{"id": "d-blocks", "bidfloor": 1.5}]}}},
            {"imp": {"bidfloor": 9, "bidfloorcur": "EUR", "pmp": {"deals": [{"id": "d-blocks", "bidfloor": 1.5}]}}},
        ],
        [
            deal(bidfloor=2.01),
            deal(bidfloor=1, bidfloorcur="EUR"),
            {"imp": {"bidfloor": 2.5, "pmp": {"deals": [{"id": "d-blocks"}]}}},
        ],
    ),
    Rule(
        "private auction",
        {},
        [imp(pmp={"private_auction": 0, "deals": [{"id": "x"}]})],
        [imp(pmp={"private_auction": 1}), private()],
    ),
    Rule("private auction of a deal", ON_DEAL, [private()], [imp(pmp={"private_auction": 1}), private(id="d-else")]),
    Rule("seats of a deal", ON_DEAL, [deal(wseat=["x", "outbid"]), deal(wseat=[])], [deal(wseat=["x"])]),
    Rule(
        "advertisers of a deal",
        ON_DEAL,
        [deal(wadomain=["ACME.example"]), deal(wadomain=[])],
        [deal(wadomain=["other.example", "notacme.example"])],
    ),
    Rule(
        "bcat",
        {"creative": {"cat": ["IAB25-3"]}},
        [{"bcat": ["IAB25-30", "IAB2", "IAB24"]}, {"bcat": []}],
        [{"bcat": ["IAB25"]}, {"bcat": ["IAB1", "IAB25-3"]}],
    ),
    Rule(
        "badv",
        {"creative": {"adomain": ["shop.acme.example"]}},
        [{"badv": ["me.example", "other.example", "www.shop.acme.example"]}, {"badv": []}],
        [{"badv": ["ACME.example"]}, {"badv": ["x.example", "shop.acme.example"]}],
    ),
    Rule("badv of nobody's", {"creative": {"adomain": []}}, [{}], [{"badv": ["other.example"]}]),
    Rule("bapp", {"creative": {"bundle": "com.acme.app"}}, [{"bapp": ["com.acme"]}], [{"bapp": ["x", "com.Acme.app"]}]),
    Rule(
        "battr", {"creative": {"attr": [3, 8]}}, [banner(battr=[1, 2, 13])], [banner(battr=[8]), banner(battr=[3, 1])]
    ),
    Rule("btype of a picture", {}, [banner(btype=[1, 3, 4])], [banner(btype=[2])]),
    Rule(
        "btype of a script",
        {"creative": {"adm": '<SCRIPT src="https://cdn.acme.example/a.js"></SCRIPT>{pixel}'}},
        [banner(btype=[1, 4])],
        [banner(btype=[3])],
    ),
    Rule(
        "btype of an iframe",
        {"creative": {"adm": '<iframe src="https://cdn.acme.example/a.html"></iframe>{pixel}'}},
        [banner(btype=[1, 3])],
        [banner(btype=[4]), banner(btype=[3, 4])],
    ),
    Rule("api", {"creative": {"api": [5]}}, [banner(api=[3, 5])], [banner(api=[3]), banner(api=[]), {}]),
    Rule("seats", {}, [{"wseat": ["x", "outbid"]}, {"bseat": ["x"]}], [{"wseat": ["x"]}, {"bseat": ["outbid"]}]),
    Rule("cur", {}, [{"cur": ["EUR", "USD"]}, {"cur": None}, {"cur": []}], [{"cur": ["EUR"]}]),
    Rule(
        "acat",
        {"creative": {"cat": ["IAB3-1"]}},
        [{"acat": ["IAB3"]}, {"acat": ["IAB9", "IAB3-1"]}, {"acat": []}],
        [{"acat": ["IAB9"]}, {"acat": ["IAB3-10"]}],
    ),
    Rule("wlang", {"creative": {"language": "en"}}, [{"wlang": ["fr", "EN"]}, {"wlang": []}], [{"wlang": ["fr"]}]),
    Rule("another medium", {}, [], [imp(banner=None, video={"mimes": ["video/mp4"]})]),
]

W, H = SIZES.of("size")
SIZED = [  # a banner object, may our WxH be shown there
    ({"format": [{"w": W, "h": H}]}, True),
    ({"format": [{"w": 1, "h": 1}, {"w": W, "h": H}]}, True),
    ({"w": W, "h": H}, True),
    ({"w": W, "h": H, "format": None}, True),
    ({"w": W, "h": H, "format": []}, True),
    ({"format": [{"w": W, "h": H + 1}]}, False),
    ({"format": [{"w": H, "h": W}]}, False),
    ({"w": W + 1, "h": H}, False),
    ({"wmin": W, "wmax": W, "hmin": 1, "hmax": H}, True),
    ({"wmin": W + 1, "hmax": H}, False),
    ({"wmin": W, "wmax": W, "hmax": H - 1}, False),
    ({"format": [{"wratio": 1, "hratio": 1, "wmin": 100}]}, False),
    ({"format": [{"wratio": 1, "hratio": 1, "wmin": 100}, {"w": W, "h": H}]}, True),
]


@pytest.fixture(scope="module")
def asker(host: Host) -> Iterator[Asker]:
    """The host with all campaigns of this module; they are archived afterwards."""
    held = campaign("held back", SIZES.of("held back"), creative={"approval": {"openx": "pending", "xandr": "refused"}})
    sized = campaign("size", SIZES.of("size"), bid={"cpm_usd": "900"})
    campaigns = [*(campaign(rule.name, SIZES.of(rule.name), **rule.campaign) for rule in RULES), held, sized]
    host.campaigns(*campaigns, campaign("secure", SIZES.of("secure")))
    with Asker(host.base) as asker:
        yield asker
    host.campaigns(*(each | {"status": "archived"} for each in campaigns))


def sides(which: str) -> list[Any]:
    return [pytest.param(rule, n, id=f"{rule.name}-{n}") for rule in RULES for n in range(len(getattr(rule, which)))]


@pytest.mark.parametrize(("rule", "n"), sides("allowed"))
def test_what_is_allowed_is_bid_on(asker: Asker, rule: Rule, n: int) -> None:
    asked = request(SIZES.of(rule.name), rule.allowed[n])
    assert asker.ask(asked).campaigns == [rule.name], asked


@pytest.mark.parametrize(("rule", "n"), sides("forbidden"))
def test_what_is_forbidden_is_not(asker: Asker, rule: Rule, n: int) -> None:
    asked = request(SIZES.of(rule.name), rule.forbidden[n])
    answer = asker.ask(asked)
    assert (answer.status, answer.campaigns) == (204, []), asked


@pytest.mark.parametrize(
    ("exchange", "may"), [("generic", True), ("pubmatic", True), ("openx", False), ("xandr", False)]
)
def test_a_creative_is_held_back_from_exchanges_that_have_not_approved_it(
    asker: Asker, exchange: str, may: bool
) -> None:
    answer = asker.ask(request(SIZES.of("held back"), {}), exchange)
    assert answer.campaigns == (["held back"] if may else [])


@pytest.mark.parametrize(("banner", "may"), SIZED, ids=[str(n) for n in range(len(SIZED))])
def test_a_banner_is_shown_where_its_size_fits(asker: Asker, banner: Json, may: bool) -> None:
    asked = request((W, H), {}) | {"imp": [{"id": "1", "banner": banner}]}
    assert ("size" in asker.ask(asked).campaigns) == may, asked


def test_a_bid_through_a_deal_names_it_and_pays_the_agreed_price(asker: Asker) -> None:
    size = SIZES.of("floor of a deal")
    (first,) = asker.ask(request(size, deal(bidfloor=1.25))).bids
    (agreed,) = asker.ask(request(size, deal(bidfloor=1.25, at=3))).bids
    assert (first["dealid"], first["price"]) == ("d-blocks", 2)
    assert (agreed["dealid"], agreed["price"]) == ("d-blocks", 1.25)


def test_an_open_bid_names_no_deal(asker: Asker) -> None:
    (bid,) = asker.ask(request(SIZES.of("floor"), deal(bidfloor=0.1))).bids
    assert "dealid" not in bid


def test_every_imp_is_answered_for_itself(asker: Asker) -> None:
    cheap, dear, alien = (
        request(SIZES.of("floor"), imp(id=name, bidfloor=at)) for name, at in (("a", 1), ("b", 3), ("c", 1))
    )
    alien["imp"][0]["banner"]["format"] = [{"w": 1, "h": 1}]
    answer = asker.ask(cheap | {"imp": [dear["imp"][0], cheap["imp"][0], alien["imp"][0]]})
    assert [bid["impid"] for bid in answer.bids] == ["a"]


def test_a_secure_imp_gets_no_bid_where_notices_would_go_over_http(asker: Asker) -> None:
    size = SIZES.of("secure")
    assert asker.ask(request(size, imp(secure=0))).campaigns == ["secure"]
    assert asker.ask(request(size, imp(secure=1))).campaigns == []
