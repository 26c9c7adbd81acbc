"""Nothing of a person leaves the bidder: markers in every leaf of requests and notices, on every path that fails too.

They are looked for in every bus frame, file, table, log line, page, report, memcached entry and process listing of a
whole host. What may leave is the allow-list of counters: exchange, advertiser, campaign, creative, deal, country,
operating system, format, size, bundle or domain, arm and reason. All of them are numbers of things that an operator
named; a deal or bundle that no campaign lists has none. So markers are planted there as well, and no exception is made.
"""

import base64
import gzip
import json
import re
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blackbox.bid_port import Asker, campaign
from tests.blackbox.taint import (
    FRACTION,
    LARGE,
    SPELLINGS,
    WORD,
    Json,
    Overheard,
    files,
    memcached,
    processes,
    tables,
    traces,
)
from tests.blackbox.taint_inputs import REQUEST, SIZE, broken_bodies, heads, saturated, variants
from tests.conditions import wait_until
from tests.hosts import Host, running

pytestmark = pytest.mark.blackbox

OURS = "zqOursByNameqz"  # what an operator named: it must be found, or the search would find nothing
URL = re.compile(rb"https?://[^\s\"'<>\\]+")


def shout(port: int, data: bytes) -> None:
    """Send it whole, read what is answered, and go."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except OSError:
            pass


def post(host: Host, body: bytes, **headers: str) -> None:
    """On a connection of its own: some of these are closed on us."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST /bid/generic HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *lines, "", ""])
    shout(host.base, head.encode() + body)


def notices(bid: Json) -> list[str]:
    """Every URL of ours in a bid, path and query."""
    texts = json.dumps([bid.get(key, "") for key in ("nurl", "burl", "lurl", "adm")]).encode().replace(b"&amp;", b"&")
    found = [url.decode().split("/", 3)[3] for url in URL.findall(texts)]
    return [f"/{path}" for path in found if path.split("/")[0] in ("win", "bill", "loss", "imp", "click")]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running(tmp_path_factory.mktemp("taint") / "state", workers=1) as host:
        host.campaigns(
            campaign("c-taint", SIZE, frequency=[{"impressions": 1_000, "per_s": 86_400, "level": "campaign"}]),
            campaign(f"c-{OURS}", SIZE, targeting={"deal": {"include": ["d-ours"]}}),
            campaign("c-visited", SIZE, targeting={"segment": {"any": ["s-ours"]}}),
        )
        yield host


def fire(host: Host, bids: list[Json]) -> int:
    """Notices of these bids: a few as an exchange would, then markers in whatever can be changed of them."""
    fired = 0
    for n, bid in enumerate(bids):
        for path in notices(bid):
            url, _, query = path.partition("?")
            query = re.sub(r"(price=)[^&]*", r"\g<1>0.5", query)
            query = re.sub(r"(reason=)[^&]*", r"\g<1>102", query)
            fired += host.get("tracker", f"{url}?{query}")[0] in (200, 204, 302)
            if n < 20:
                for changed in (
                    f"{url}?price={WORD}&reason={WORD}&{WORD}={WORD}",
                    f"{url}?price={LARGE}&reason={LARGE}",
                    f"{url}{WORD}?{query}",
                    f"{url[:-20]}{WORD}?{query}",
                    f"{url}?price=%ff%00{WORD}",
                    f"/{path.split('/')[1]}/{WORD}?{query}",
                ):
                    host.get("tracker", changed)
    return fired


def knock(host: Host, place: Path) -> int:
    """At the doors for browsers, and a list of users: markers as ids, cookies, consent and what must not be there."""
    pixel = "/" + host.verb("segment", "pixel", "acme", "s-ours").strip().split("/", 3)[3]
    own = (WORD + "A" * 22)[:22]
    served = 0
    for path in (
        f"{pixel}&{WORD}={WORD}",
        f"{pixel}&gdpr=1&gdpr_consent={WORD}",
        f"{pixel}&gpp={WORD}&gpp_sid={LARGE},{WORD}&us_privacy={WORD}",
        f"/visit/{WORD}/s-ours?sig={WORD}",
        f"/visit/acme/s-{WORD[:13]}?sig={WORD}",
        f"/match/generic?uid={WORD}",
        f"/match/openx?uid={WORD}{LARGE}&hop={WORD}",
        f"/match/generic?uid={WORD}&gdpr=1&gdpr_consent={WORD}",
        f"/match/generic?uid=%24%7B{WORD}%7D",
        f"/match/{WORD}?uid={WORD}",
    ):
        for cookie in (f"ob={own}", f"ob={WORD}; {WORD}={WORD}", f"obh={WORD}"):
            connection = host.connect("tracker")
            headers = {"Cookie": cookie, "X-Forwarded-For": WORD, "User-Agent": WORD, "Referer": f"https://{WORD}/"}
            connection.request("GET", path, headers=headers)
            served += connection.getresponse().status in (200, 204, 302)
            connection.close()
    listed = place / "list.jsonl"
    rows = [{"id_type": kind, "id": f"{WORD}-{n}", "segment": "s-ours"} for n, kind in enumerate(("ifa", "buyeruid"))]
    rows += [{"id_type": "exchange:openx", "id": WORD, "segment": "s-ours"}, {"id_type": WORD, "id": WORD}]
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows) + WORD)
    said = host.try_verb("segment", "import", str(listed))
    assert said.stdout == "3 lines stored, 2 refused\n"
    assert traces((said.stdout + said.stderr).encode()) == []
    return served


def looked_at(host: Host) -> Iterator[tuple[str, bytes]]:
    """Everything that a host shows, keeps or says of itself while it runs."""
    for door, paths in {
        "bid": ("/healthz", "/readyz", "/"),
        "tracker": ("/healthz", "/readyz", "/stats", "/"),
        "controller": ("/healthz", "/readyz", "/info", "/book/latest", "/"),
        "monitor": ("/", "/live.json", "/healthz", "/readyz"),
        "metrics": ("/metrics", "/"),
    }.items():
        for path in paths:
            yield f"{door} {path}", host.get(door, path)[1]
    yield "outbid status", host.verb("status", "--json").encode()
    for kind in ("spend", "delivery", "nobids"):
        yield f"outbid report {kind}", host.verb("report", kind, "--format", "json").encode()
    yield "outbid campaign list", host.verb("campaign", "list", "--json").encode()
    yield from tables(host)
    yield from memcached(host)
    yield from processes(host)
    yield from files(host)


def test_no_marker_comes_out_anywhere(host: Host, tmp_path: Path) -> None:
    overheard = Overheard(host)
    bids: list[Json] = []
    answers: dict[int, int] = {}
    with Asker(host.base) as asker:
        for document in variants():
            answer = asker.ask(document)
            answers[answer.status] = answers.get(answer.status, 0) + 1
            bids += answer.bids
    assert set(answers) <= {200, 204}
    assert answers[200] > 300  # most leaves do not keep it from bidding: they are there until the answer is written
    for body in broken_bodies():
        post(host, body)
        post(host, gzip.compress(body), Content_Encoding="gzip", X_Forwarded_For=WORD)
        post(host, body, Content_Encoding="gzip")
    packed = gzip.compress(json.dumps(saturated(REQUEST)).encode())
    for cut in range(0, len(packed), 41):
        post(host, packed[:cut] + WORD.encode() + packed[cut:], Content_Encoding="gzip")
    post(host, zlib.compress(WORD.encode() * 100_000), Content_Encoding="deflate")
    post(host, gzip.compress(WORD.encode() * 1_000_000), Content_Encoding="gzip")
    for head in heads():
        for offset in (0, 1, 2, 80):
            shout(host.base + offset, head)
    assert knock(host, tmp_path) > 12
    fired = fire(host, bids)
    assert fired > 1_000
    people = wait_until(lambda: users_kept(host), 10.0, "users in the store")
    assert len(people) > 3
    wait_until(lambda: any(b"deltas" in frame for frame in overheard.frames), 10.0, "counters on the bus")
    spend = host.report("spend")
    assert sum(int(row["bids"]) for row in spend) >= len(bids)
    assert sum(int(row["wins"]) for row in spend) > 0

    found = {place: forms for place, data in looked_at(host) if (forms := traces(data))}
    overheard.close()
    assert len(overheard.frames) > 2
    found |= {f"bus frame {n}": forms for n, frame in enumerate(overheard.frames) if (forms := traces(frame))}
    assert found == {}


def users_kept(host: Host) -> list[str]:
    """Names of entries of the user store: keyed hashes, each with a time to live."""
    found = [place for place, _ in memcached(host) if place.startswith("outbid:u:")]
    assert all(re.fullmatch(r"outbid:u:[0-9a-f]{16}", name) for name in found)
    return found


def test_every_user_in_the_store_has_an_end(host: Host) -> None:
    names = next(data for place, data in memcached(host) if place == "the names of entries")
    ends = re.findall(rb"key=outbid%3Au%3A[0-9a-f]{16} exp=(-?\d+) ", names)
    assert len(ends) > 3
    assert all(int(end) > 0 for end in ends)


def test_what_an_operator_named_is_found_so_the_search_finds_what_is_there(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SPELLINGS, "ours", OURS.encode())
    places = [place for place, data in looked_at(host) if "ours" in traces(data)]
    assert "outbid campaign list" in places
    assert "config.campaign" in places
    assert any("/books/" in place or "book" in Path(place).name for place in places)


def test_every_form_of_a_marker_is_told() -> None:
    for data, form in (
        (f"...{WORD}...".encode(), "text"),
        (WORD.upper().encode(), "upper case"),
        (json.dumps({"a": LARGE}).encode(), "large number"),
        (f"{LARGE * 1_000_000}".encode(), "large number"),
        (json.dumps({"a": FRACTION}).encode(), "fraction"),
        (struct.pack(">q", LARGE), "large number, >q"),
        (WORD.encode().hex().encode(), "hexadecimal"),
    ):
        assert form in traces(data)
    for n in range(6):
        whole = base64.b64encode(b"x" * n + WORD.encode() + b"yz")
        assert [form for form in traces(whole) if form.startswith("base64")], n
    assert traces(b"nothing of the kind") == []


def test_the_log_of_all_roles_holds_no_marker(host: Host) -> None:
    assert host.end() == 0
    logs = {place: data for place, data in files(host) if b'"msg":"listening"' in data}
    assert {Path(place).stem for place in logs} >= {"tracker", "controller", "supervisor"}
    logs |= {"stdout": host.said[0].encode(), "stderr": host.said[1].encode()}
    assert {place: forms for place, data in logs.items() if (forms := traces(data))} == {}
    assert [place for place, data in logs.items() if b"Traceback" in data] == []
