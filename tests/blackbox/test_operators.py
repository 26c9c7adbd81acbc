"""What an operator changes shows in every worker: campaigns, budgets, switches; and it lasts.

A change of a campaign is served within 5 s, a switch within 1 s; a verb that waited is believed at once.
"""

import contextlib
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from bidder.ops import control
from tests.blackbox.exchange import Bid
from tests.blackbox.lines import all_bids, ask, campaign, everybody_bids, nobody_bids, request, workers
from tests.conditions import wait_until
from tests.hosts import Host, alive

pytestmark = pytest.mark.blackbox

NUMBERS = itertools.count(1)
SERVED_S = 5.0
SWITCHED_S = 1.0
PRICE = 2_000_000  # nano-USD: $2.00 CPM
CENT = 10_000_000  # nano-USD


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """What it covers takes no longer."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took <= seconds, f"took {took:.2f} s, {seconds:g} s are promised"


@pytest.fixture(scope="module")
def deal(host: Host) -> str:
    """A campaign of these tests' own, with the id of its deal; each leaves it as it was."""
    host.campaigns(campaign("op"), campaign("op-other"))
    assert everybody_bids(host, "op")
    assert everybody_bids(host, "op-other")
    return "op"


@pytest.fixture
def cent(host: Host) -> str:
    """The id of a campaign that may spend a cent an hour, as soon as it can."""
    name = f"cent-{next(NUMBERS)}"
    host.campaigns(campaign(name, budget={"hourly_usd": "0.01", "pacing": "asap", "timezone": quiet_zone()}))
    return name


def quiet_zone() -> str:
    """A zone whose budget hour does not turn in the next minutes: some turn at the half hour."""
    return "Asia/Kolkata" if time.gmtime().tm_min >= 55 else "UTC"


def test_connections_reach_every_worker(host: Host, deal: str) -> None:
    assert len(workers(ask(host, request(deal)))) == host.workers


def test_a_paused_campaign_bids_in_no_worker_until_it_is_resumed(host: Host, deal: str) -> None:
    with within(SERVED_S):
        host.verb("campaign", "pause", deal, "--wait")
        assert nobody_bids(host, deal)
    with within(SERVED_S):
        host.verb("campaign", "resume", deal, "--wait")
        assert everybody_bids(host, deal)


def test_a_change_is_served_in_time_though_nobody_waits_for_it(host: Host, deal: str) -> None:
    host.verb("campaign", "pause", deal)
    wait_until(lambda: nobody_bids(host, deal), SERVED_S, "the pause in every worker")
    host.verb("campaign", "resume", deal)
    wait_until(lambda: everybody_bids(host, deal), SERVED_S, "the resumption in every worker")


@pytest.mark.parametrize("amount", ["0", "0.000001"])
def test_a_campaign_whose_budget_is_cut_bids_in_no_worker_until_it_is_raised(
    host: Host, deal: str, amount: str
) -> None:
    with within(SERVED_S):
        host.verb("campaign", "set-budget", deal, "--hourly-usd", amount, "--wait")
        assert nobody_bids(host, deal)
    with within(SERVED_S):
        host.verb("campaign", "set-budget", deal, "--hourly-usd", "1000", "--confirm", "--wait")
        assert everybody_bids(host, deal)


def test_a_budget_is_not_raised_a_hundredfold_by_a_slip(host: Host, deal: str) -> None:
    done = host.try_verb("campaign", "set-budget", deal, "--hourly-usd", "1000000")
    assert done.returncode == 1
    assert "--confirm" in done.stderr
    assert everybody_bids(host, deal)


def test_the_new_price_of_a_campaign_is_bid_by_every_worker(host: Host, deal: str) -> None:
    for cpm, nano in (("3.25", 3_250_000), ("2.00", PRICE)):
        host.campaigns(campaign(deal, bid={"cpm_usd": cpm}))
        assert {bid.price for bid in ask(host, request(deal)) if bid is not None} == {nano}


def test_everything_off_stops_every_worker_within_a_second(host: Host, deal: str) -> None:
    with within(SWITCHED_S):
        host.verb("switch", "off")
    try:
        assert nobody_bids(host, deal)
    finally:
        host.verb("switch", "on")
    assert everybody_bids(host, deal)


def test_an_exchange_that_is_off_gets_no_bids_and_the_others_do(host: Host, deal: str) -> None:
    with within(SWITCHED_S):
        host.verb("switch", "off", "--exchange", "openx")
    try:
        assert nobody_bids(host, deal, "openx")
        assert everybody_bids(host, deal, "generic")
    finally:
        host.verb("switch", "on", "--exchange", "openx")
    assert everybody_bids(host, deal, "openx")


def test_a_campaign_that_is_off_gets_no_bids_and_the_others_do(host: Host, deal: str) -> None:
    with within(SWITCHED_S):
        host.verb("switch", "off", "--campaign", deal)
    try:
        assert nobody_bids(host, deal)
        assert everybody_bids(host, "op-other")
        host.campaigns(campaign(deal, bid={"cpm_usd": "9.00"}))  # a new book
        assert nobody_bids(host, deal)
    finally:
        host.verb("switch", "on", "--campaign", deal)
    assert everybody_bids(host, deal)


@pytest.mark.parametrize("feature", ["deals", "shading"])
def test_a_feature_that_is_off_is_off_in_every_worker(host: Host, deal: str, feature: str) -> None:
    with within(SWITCHED_S):
        host.verb("switch", "off", "--feature", feature)
    try:
        assert nobody_bids(host, deal) if feature == "deals" else everybody_bids(host, deal)
    finally:
        host.verb("switch", "on", "--feature", feature)
    assert everybody_bids(host, deal)


def test_an_advertiser_that_is_off_gets_no_bids_in_the_next_book_either(host: Host, deal: str) -> None:
    host.campaigns(campaign("op-alien", advertiser="alien"))
    with within(SWITCHED_S):
        host.verb("switch", "off", "--advertiser", "alien")
    try:
        assert nobody_bids(host, "op-alien")
        assert everybody_bids(host, deal)
        host.campaigns(campaign("op-alien-2", advertiser="alien"))
        assert nobody_bids(host, "op-alien-2")
    finally:
        host.verb("switch", "on", "--advertiser", "alien")
    assert everybody_bids(host, "op-alien-2")


def test_an_edited_file_is_taken_over_within_a_second_and_a_broken_one_is_not(host: Host, deal: str) -> None:
    path = host.state / "switches.json"
    try:
        path.write_text(json.dumps({"switches": [{"kind": "campaign", "name": deal, "off": True}]}))
        wait_until(lambda: nobody_bids(host, deal), SWITCHED_S, "the switch in every worker")
        path.write_text('{"switches": [{"kind": "campaign", "name": "no-such", "off": true}]}')
        wait_until(lambda: "no-such" in host.verb("switch"), SWITCHED_S, "its refusal")
        assert "refused" in host.verb("status")
        assert nobody_bids(host, deal)
    finally:
        host.verb("switch", "on", "--campaign", deal)
    assert "refused" not in host.verb("status")
    assert everybody_bids(host, deal)


def test_requests_are_answered_while_switches_are_flipped(host: Host, deal: str) -> None:
    """Each gets a bid or a prompt no-bid; none is lost, reset or an error."""
    statuses: list[int] = []
    done = threading.Event()

    def send() -> None:
        with contextlib.closing(host.connect()) as line:
            while not done.is_set():
                line.request("POST", "/bid/generic", request(deal), {"Content-Type": "application/json"})
                answer = line.getresponse()
                answer.read()
                statuses.append(answer.status)

    with ThreadPoolExecutor(2) as senders:
        sending = [senders.submit(send) for _ in range(2)]
        try:
            for _ in range(4):
                for position in ("off", "on"):
                    for what in ({}, {"exchange": "generic"}, {"campaign": deal}, {"feature": "deals"}):
                        flip = {"do": "switch", "off": position == "off", **what}
                        before = len(statuses)
                        control.ask(host.state / "run" / "supervisor.sock", flip, 5.0)
                        wait_until(lambda before=before: len(statuses) >= before + 4, 5.0, "requests")
        finally:
            done.set()
        for sender in sending:
            sender.result()
    assert set(statuses) == {200, 204}
    assert everybody_bids(host, deal)


def test_switches_survive_the_supervisor(host: Host, deal: str) -> None:
    host.verb("switch", "off", "--campaign", deal)
    host.verb("switch", "off", "--exchange", "xandr")
    try:
        (before,) = host.pids("supervisor")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: not alive(before), 5.0, "the supervisor's death")
        wait_until(lambda: host.get("bid", "/readyz")[0] == 200, 10.0, "its successor")
        wait_until(lambda: everybody_bids(host, "op-other"), 10.0, "bids")
        assert nobody_bids(host, deal)
        assert nobody_bids(host, "op-other", "xandr")
        host.verb("stop", "supervisor")
        said = host.try_verb("switch", "off")
        assert said.returncode == 3
        assert "switches.json has it" in said.stderr
        assert "everything" in host.verb("switch", "list")
        host.verb("start", "supervisor")
        assert nobody_bids(host, "op-other")
        switches = next(row for row in host.processes() if row["role"] == "supervisor")["switches"]
        assert switches["everything"]
        assert switches["exchanges"] == ["xandr"]
    finally:
        for which in ([], ["--exchange", "xandr"], ["--campaign", deal]):
            host.verb("switch", "on", *which)
    assert everybody_bids(host, deal, "xandr")


def tell(host: Host, url: str, **macros: str) -> None:
    """One notice that is to be taken."""
    for name, text in macros.items():
        url = url.replace("${" + name + "}", text)
    parts = urlsplit(url)
    assert host.get("tracker", f"{parts.path}?{parts.query}")[0] == 204


def spent(host: Host, name: str) -> int:
    """nano-USD, as reported."""
    rows = host.report("spend", "--by", "campaign", "--where", f"campaign={name}")
    return sum(row["spend_nano_usd"] for row in rows)


def test_a_cent_an_hour_buys_no_more_than_a_cent(host: Host, cent: str) -> None:
    bids = [bid for _ in range(20) for bid in all_bids(host, cent)]
    for bid in bids:
        tell(host, bid.burl, AUCTION_PRICE="2.00")
    assert len(bids) == CENT // PRICE
    assert spent(host, cent) == CENT
    assert nobody_bids(host, cent)


def test_an_evenly_paced_cent_is_not_overspent_either(host: Host) -> None:
    name = f"cent-{next(NUMBERS)}"
    host.campaigns(campaign(name, budget={"hourly_usd": "0.01", "pacing": "even", "timezone": quiet_zone()}))
    bids = [bid for _ in range(50) for bid in all_bids(host, name)]
    for bid in bids:
        tell(host, bid.burl, AUCTION_PRICE="2.00")
    assert spent(host, name) == len(bids) * PRICE <= CENT


def test_what_bids_cost_less_than_their_price_is_spent_again_up_to_the_cent(host: Host, cent: str) -> None:
    bought = 0

    def buy() -> bool:
        nonlocal bought
        for bid in all_bids(host, cent):
            tell(host, bid.burl, AUCTION_PRICE="1.00")
            bought += PRICE // 2
        return bought > CENT - PRICE

    wait_until(buy, 20.0, "a cent less than a bid to be spent")
    assert spent(host, cent) == bought <= CENT
    assert nobody_bids(host, cent)


def test_a_lost_bid_gives_its_money_back(host: Host, cent: str) -> None:
    taken = all_bids(host, cent)
    assert len(taken) == CENT // PRICE
    for bid in taken[:2]:
        tell(host, bid.lurl, AUCTION_LOSS="102", AUCTION_PRICE="3.00")
    again: list[Bid] = []

    def both_are_back() -> bool:
        again.extend(all_bids(host, cent))
        return len(again) >= 2

    wait_until(both_are_back, 10.0, "what was lost to be free again")
    assert len(again) == 2
    assert nobody_bids(host, cent)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["campaign", "pause", "no-such"], "no-such"),
        (["switch", "off", "--exchange", "no-such"], "no-such"),
        (["switch", "off", "--campaign", "no-such"], "no-such"),
        (["switch", "off", "--advertiser", "no-such"], "no-such"),
        (["switch", "off", "--feature", "no-such"], "there are shading"),
        (["stop", "no-such"], "no-such"),
        (["report", "spend", "--by", "no-such"], "no-such"),
        (["report", "spend", "--since", "yesterday"], "yesterday"),
        (["campaign", "import", "/no/such/file"], "/no/such/file"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(host: Host, argv: list[str], named: str) -> None:
    done = host.try_verb(*argv)
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_one_bad_line_keeps_the_whole_file_out_and_every_bad_line_is_named(host: Host, deal: str) -> None:
    good, bad = campaign(f"{deal}-good"), campaign(f"{deal}-bad") | {"colour": "red"}
    text = "\n".join([json.dumps(good), json.dumps(bad), "{", json.dumps(campaign(f"{deal}-x", bid={}))])
    done = host.try_verb("campaign", "import", "-", stdin=text)
    assert done.returncode == 1
    assert all(word in done.stderr for word in ("colour", "2", "3", "4"))
    assert f"{deal}-good" not in host.verb("campaign", "list")
