"""Whatever is bid passes every validator: answers to synthetic traffic, and to secure imps, against the linter.

The host's notices go over https, so that secure impressions are bid on. Besides the examples it serves creatives that
test the blocks: with attributes, frameworks, scripts, http markup, other languages, and without names.
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest

from bidder.openrtb.lint import lint
from bidder.simulator.traffic import requests
from tests.blackbox.bid_port import Asker, Json, Sizes, campaign, creative, request
from tests.conditions import wait_until
from tests.hosts import EXAMPLES, Host, running
from tests.lint_cases.objections import objections

pytestmark = pytest.mark.blackbox

PUBLIC_URL = "https://track.example/ob"
EXCHANGES = ("generic", "openx", "pubmatic", "xandr", "google")
REQUESTS = 2_500
SIZES = Sizes(6_000)
ODD: list[Json] = [
    {"attr": [1, 3]},
    {"attr": [13]},
    {"api": [3, 5]},
    {"adm": '<script src="https://cdn.acme.example/a.js"></script>'},
    {"adm": '<iframe src="https://cdn.acme.example/a.html"></iframe>{pixel}'},
    {"adm": '<img src="http://cdn.acme.example/a.png">'},
    {"adm": '<svg xmlns="http://www.w3.org/2000/svg"><!-- https: --></svg>'},
    {"adm": '<a href="{click_url}">\u201cq\u00fcotes\u201d \\ " \t </a>'},
    {"cat": []},
    {"cat": ["IAB25-3", "IAB7-39"], "adomain": ["globex.example", "www.casino.example"]},
    {"adomain": []},
    {"language": "es", "bundle": "com.acme.app", "crid": '\u00fc/"1"'},
]


def odd_campaigns() -> Iterator[Json]:
    """Dearer than the examples, so that they are chosen wherever they may be."""
    for n, changes in enumerate(ODD):
        creatives = [creative(f"odd-{n}-{w}", (w, h), **changes) for w, h in ((300, 250), (320, 50), (728, 90))]
        deals = {"include": ["d-1", "d-2"]} if n % 4 == 3 else {}
        yield {
            "id": f"odd {n}",
            "advertiser": "conformance",
            "bid": {"cpm_usd": f"{20 + n}.{n:06d}"},
            "targeting": {"deal": deals, "exchange": {"include": ["openx", "xandr"]}},
            "creatives": creatives,
        }


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTBID_TRACKING_PUBLIC_URL", PUBLIC_URL)
        with running(tmp_path_factory.mktemp("rules") / "state", workers=1) as host:
            host.verb("campaign", "import", str(EXAMPLES))
            mixed = {"adm": '<img src="http://cdn.acme.example/a.png">{pixel}'}
            clean = campaign("clean", SIZES.of("clean"))
            host.campaigns(clean, campaign("mixed", SIZES.of("mixed"), creative=mixed), *odd_campaigns())
            yield host


def test_no_validator_objects_to_any_answer_to_synthetic_traffic(host: Host) -> None:
    seen: Counter[str] = Counter()
    wrong = []
    with Asker(host.base) as asker:
        for n, body in enumerate(islice(requests(11), REQUESTS)):
            answer = asker.send("POST", f"/bid/{EXCHANGES[n % len(EXCHANGES)]}", body)
            found = lint(body, answer.body, status=answer.status, headers=answer.headers)
            wrong += [(violation, body, answer.body) for violation in objections(found)]
            seen.update(violation.rule for violation in found)
            seen["bids"] += len(answer.bids)
            seen["odd"] += sum(name.startswith("odd") for name in answer.campaigns)
            seen["secure"] += sum(bid["nurl"].startswith("https:") and b'"secure":1' in body for bid in answer.bids)
    assert not wrong, wrong[:3]
    assert seen["bids"] > 0.3 * REQUESTS, seen
    assert min(seen["odd"], seen["secure"]) > 50, seen
    # Warnings: an adomain that the campaign does not have cannot be named.
    assert set(seen) - {"bids", "odd", "secure"} <= {"adomain_absent", "cat_absent"}, seen


def test_a_worker_tells_of_a_bid_that_breaks_a_rule(host: Host) -> None:
    host.campaigns(campaign("marked", SIZES.of("marked"), creative={"adm": "<p>{{unfilled}} </p>"}))
    body = json.dumps(request(SIZES.of("marked"), {})).encode()
    log = host.state / "log" / "supervisor.log"

    def told() -> bool:
        assert asker.send("POST", "/bid/generic", body).campaigns == ["marked"]
        return b'"rule":"template_mark","path":"seatbid[0].bid[0].adm"' in log.read_bytes()

    with Asker(host.base) as asker:
        wait_until(told, 30.0, "a line of the spot check")


def test_a_secure_imp_is_bid_on_where_notices_and_markup_are_https(host: Host) -> None:
    def asked(name: str, secure: int) -> Json:
        return request(SIZES.of(name), {"imp": {"secure": secure}})

    with Asker(host.base) as asker:
        (bid,) = asker.ask(asked("clean", 1)).bids
        assert bid["burl"].startswith(f"{PUBLIC_URL}/bill/")
        assert asker.ask(asked("mixed", 0)).campaigns == ["mixed"]
        assert asker.ask(asked("mixed", 1)).campaigns == []
