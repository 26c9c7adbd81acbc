"""Users on a whole host, its memcached behind a proxy: caps, visits, lists, a store that is slow, silent or dead."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bidder.ops import control
from tests.blackbox.bid_port import Asker, Sizes, campaign
from tests.conditions import wait_until
from tests.hosts import Host, running
from tests.slow_proxy import SlowProxy, in_front_of

pytestmark = pytest.mark.blackbox

DAY_S = 86_400
SIZES = Sizes(600)
TWICE = [{"impressions": 2, "per_s": DAY_S, "level": "campaign"}]
SHOES = {"targeting": {"segment": {"any": ["s-shoes"]}}}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def proxy(memcached: str) -> Iterator[SlowProxy]:
    with in_front_of(memcached) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, proxy: SlowProxy) -> Iterator[Host]:
    environ = {
        "OUTBID_MEMCACHED_SERVERS": proxy.address,
        "OUTBID_USERS_FRESH_S": "1",
        "OUTBID_USERS_BANNER_HOLD_S": "3600",
    }
    with running(tmp_path_factory.mktemp("users") / "state", workers=2, environ=environ) as host:
        host.campaigns(
            campaign("c-twice", SIZES.of("c-twice"), frequency=TWICE),
            campaign("c-shoes", SIZES.of("c-shoes"), **SHOES),
            campaign(
                "c-hats", SIZES.of("c-hats"), multipliers=[{"when": {"segment": ["s-hats"]}, "factor": "3"}],
            ),
        )  # fmt: skip
        yield host


def asked(host: Host, name: str, **person: Any) -> list[Json]:
    """Bids on a request for one campaign's size, from a connection of its own."""
    w, h = SIZES.of(name)
    body = {"id": "r", "imp": [{"id": "1", "banner": {"format": [{"w": w, "h": h}]}}], **person}
    with Asker(host.base) as asker:
        return asker.ask(body).bids


def tell(host: Host, bid: Json, path: str) -> None:
    text = json.dumps([bid.get(key, "") for key in ("burl", "lurl", "adm")])
    (url,) = set(re.findall(rf"http://[^/]+(/{path}/[\w-]+[^\"\\ ]*)", text))
    status, _ = host.get("tracker", url.replace("${AUCTION_PRICE}", "1").replace("${AUCTION_LOSS}", "102"))
    assert status in (200, 204)


def statistics(host: Host) -> Json:
    found = json.loads(host.get("tracker", "/stats")[1])
    assert isinstance(found, dict)
    return found


def keeper(host: Host) -> Json:
    found = control.ask(host.state / "run" / "supervisor.sock", {"do": "status"}, 5.0)["users"]
    assert isinstance(found, dict)
    return found


def test_a_loss_gives_the_cap_back_and_an_impression_keeps_it(host: Host) -> None:
    ann = {"device": {"ifa": "ann"}}
    (first,) = asked(host, "c-twice", **ann)
    (second,) = asked(host, "c-twice", **ann)
    assert asked(host, "c-twice", **ann) == []
    tell(host, first, "loss")
    wait_until(lambda: statistics(host)["caps"].get("given_back"), 10, "the tracker to have the book, too")
    (third,) = asked(host, "c-twice", **ann)
    assert asked(host, "c-twice", **ann) == []
    for bid in (second, third):
        tell(host, bid, "imp")
        tell(host, bid, "bill")
        tell(host, bid, "loss")
    assert asked(host, "c-twice", **ann) == []
    assert statistics(host)["caps"]["shown"] == 2
    assert statistics(host)["caps"].get("beyond", 0) == 0
    wait_until(lambda: statistics(host)["caps"].get("stored") == 2, 10, "both impressions to be in the store")
    assert host.report("caps") == [{"campaign": "c-twice", "shown": 2, "beyond": 0, "given_back": 1}]


def test_killed_processes_leave_the_caps_and_a_table_that_is_gone_comes_back_from_the_store(host: Host) -> None:
    ann = {"device": {"ifa": "ann"}}
    for role in ("supervisor", "tracker"):
        (pid,) = host.pids(role)
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.get("bid", "/readyz")[0] == 200, 20, "the bidder to be back")
    assert asked(host, "c-twice", **ann) == []
    host.verb("stop", "bidder")
    (host.state / "shm" / "frequency").unlink()  # as after a boot
    host.verb("start", "bidder")
    wait_until(lambda: host.get("bid", "/readyz")[0] == 200, 20, "the bidder to be back")
    wait_until(lambda: asked(host, "c-hats"), 20, "leases")
    assert len(asked(host, "c-twice", **ann)) == 1  # not known: bid, says the setting
    # No answer at first, maybe: then a later request asks again.
    wait_until(lambda: asked(host, "c-twice", **ann) == [] and keeper(host).get("found"), 20, "an answer of the store")


def test_a_visit_is_targeted_by_the_next_requests(host: Host) -> None:
    pixel = host.verb("segment", "pixel", "acme", "s-shoes").strip()
    connection = host.connect("tracker")
    connection.request("GET", "/" + pixel.split("/", 3)[3])
    answer = connection.getresponse()
    assert (answer.status, answer.read()[:3]) == (200, b"GIF")
    own = (answer.getheader("Set-Cookie") or "").partition(";")[0].removeprefix("ob=")
    connection.close()
    assert asked(host, "c-shoes") == []
    wait_until(lambda: asked(host, "c-shoes", user={"buyeruid": own}), 10, "a bid for who visited")
    assert asked(host, "c-shoes", user={"buyeruid": own}, regs={"coppa": 1}) == []
    assert asked(host, "c-shoes", user={"buyeruid": own[::-1]}) == []


def test_an_imported_list_raises_the_bid_and_bad_lines_are_named(host: Host, tmp_path: Path) -> None:
    rows = [{"id_type": "ifa", "id": f"list-{n}", "segment": "s-hats"} for n in range(50)]
    rows[7] |= {"segment": "hats"}
    rows[8] |= {"id_type": "exchange:nobody"}
    path = tmp_path / "list.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    done = host.try_verb("segment", "import", str(path), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, {"stored": 48, "refused": 3})
    said = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert said == ["line 8", "line 9", "line 51"]
    assert "list-" not in done.stderr

    def price(name: str) -> float:
        (bid,) = asked(host, "c-hats", device={"ifa": name})
        return float(bid["price"])

    wait_until(lambda: price("list-3") == 6, 10, "the higher bid")
    assert price("list-7") == price("list-8") == price("nobody") == 2


@pytest.mark.parametrize("delay_s", [0.05, None], ids=["ten times slower", "silent"])
def test_a_store_that_is_slow_costs_no_request_its_answer(host: Host, proxy: SlowProxy, delay_s: float | None) -> None:
    proxy.delay_s = delay_s
    before = keeper(host)
    try:
        with Asker(host.base) as asker:
            w, h = SIZES.of("c-twice")
            answers = [
                asker.ask(
                    {
                        "id": "r",
                        "imp": [{"id": "1", "banner": {"format": [{"w": w, "h": h}]}}],
                        "device": {"ifa": f"slow-{delay_s}-{n // 3}"},
                    }
                )
                for n in range(1_500)
            ]
        assert [len(answer.bids) for answer in answers] == [1, 1, 0] * 500  # caps of this host hold as ever
        if delay_s is None:
            wait_until(lambda: keeper(host).get("unanswered", 0) > before.get("unanswered", 0), 10, "no answer")
        else:
            wait_until(lambda: keeper(host)["asked"] > before.get("asked", 0), 10, "a question")
    finally:
        proxy.delay_s = 0.0


def test_a_store_that_is_gone_costs_no_request_its_answer(host: Host, proxy: SlowProxy) -> None:
    proxy.close()
    assert [len(asked(host, "c-twice", device={"ifa": f"gone-{n // 3}"})) for n in range(30)] == [1, 1, 0] * 10
    (bid,) = asked(host, "c-twice", device={"ifa": "gone-shown"})
    tell(host, bid, "imp")
    pixel = host.verb("segment", "pixel", "acme", "s-x").strip()
    status, body = host.get("tracker", "/" + pixel.split("/", 3)[3])
    assert (status, body[:3]) == (200, b"GIF")
    done = host.try_verb("segment", "import", "-", stdin='{"id_type": "ifa", "id": "x", "segment": "s-a"}\n')
    assert (done.returncode, done.stdout) == (1, "")
    assert "memcached does not answer" in done.stderr
