"""Requests of one batch lie on desks side by side, and are answered and counted as if they had come one by one."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple

from bidder._fast import favour
from bidder._fast.http import Connections
from bidder.events.schema import Kind, Row
from bidder.money.tokens import BidIds
from bidder.outcome import Reason
from tests.http_wire import Conversation, no_route, post
from tests.socket_wire import Hall
from tests.worlds import World, banner, campaign, imp, request

SIZES = [{"w": 320, "h": 50}, {"w": 300, "h": 250}, {"w": 728, "h": 90}]
CAMPAIGNS = [
    campaign("c-us", "3.1", targeting={"country": {"include": ["USA"]}}),
    campaign("c-capped", "3", frequency=[{"impressions": 2, "per_s": 3600, "level": "campaign"}]),
    campaign("c-deal", "2.9", targeting={"deal": {"include": ["d-1"]}}),
    campaign("c-big", "2.8", creatives=[banner(**SIZES[1]), banner(id="cr-2", **SIZES[2])]),
    campaign("c-insecure", "2.75", creatives=[banner(adm="<img src='http://cdn.example/a.png'>")]),
    campaign("c-thin", "2.7", targeting={"inventory": {"include": ["app"]}}),
    *[campaign(f"c-tie-{n}", "2.6", targeting={"cat": {"exclude": ["IAB25"]}}) for n in range(3)],
    campaign("c-throttled", "2.65"),
]


def bodies(count: int) -> list[bytes]:
    """Requests that meet every campaign in turn: with one user among many, deals, apps, secure imps and no-bids."""
    found = []
    for n in range(count):
        one = imp(secure=n % 2, banner={"format": [SIZES[n % 3]]}, bidfloor=n % 5)
        two = imp("2", pmp={"deals": [{"id": "d-1"}], "private_auction": n % 2})
        changes: dict[str, Any] = {"device": {"geo": {"country": "USA" if n % 4 else "CAN"}, "ifa": f"user-{n % 7}"}}
        if n % 3 == 1:
            changes["app"] = {"bundle": "com.a", "cat": ["IAB25"] if n % 2 else []}
        if n % 11 == 3:
            changes["cur"] = ["EUR"]
        body = request([one, two] if n % 4 == 1 else [one], id=f"r-{n}", **changes)
        found.append(json.dumps(body).encode()[: -1 if n % 13 == 5 else None])
    return found


class Bidder:
    """A world behind a hall; bid ids, ties and throttles are the same in every one."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory, CAMPAIGNS, bid_ids=BidIds(bytes))
        self.world.fund("c-thin", 9_000_000)
        self.world.pace("c-throttled", 2**31)
        self.hall = Hall(Connections(self.world.decider, no_route, max_body_bytes=50_000))

    def answers(self, said: Sequence[bytes], batch: int) -> list[bytes]:
        """What each of as many connections is told; `batch` of them speak before anybody is answered."""
        peers = self.hall.enter_all(len(said))
        for at in range(0, len(said), batch):
            for peer, data in zip(peers[at : at + batch], said[at:], strict=False):
                peer.say(data)
            self.hall.turn()
        for peer in peers:
            peer.hear()
        return [peer.heard for peer in peers]

    def counted(self) -> tuple[list[Row], int, int]:
        return sorted(self.world.drain(), key=astuple), self.world.decider.requests, self.world.decider.bids

    def reasons(self) -> Counter[int]:
        """Of no-bids since the last look."""
        found: Counter[int] = Counter()
        for row in self.world.drain():
            if row.kind == Kind.NOBID:
                found[row.reason] += row.n
        return found


Bidders = Callable[[], Bidder]


@pytest.fixture
def bidders(tmp_path: Path) -> Iterator[Bidders]:
    made: list[Bidder] = []

    def one() -> Bidder:
        made.append(Bidder(tmp_path / str(len(made))))
        return made[-1]

    yield one
    for each in made:
        each.hall.close()


def check(bidders: Bidders, said: Sequence[bytes]) -> list[bytes]:
    """Both ways the same, to the byte and to the count; what was told."""
    together, alone = bidders(), bidders()
    told = together.answers(said, len(said))
    assert told == alone.answers(said, 1)
    assert together.counted() == alone.counted()
    assert {c["id"]: together.world.left(c["id"]) for c in CAMPAIGNS} == {
        c["id"]: alone.world.left(c["id"]) for c in CAMPAIGNS
    }
    return told


@pytest.mark.parametrize("connections", [2, 32, 33, 100])
def test_a_batch_is_answered_and_counted_as_one_after_the_other(bidders: Bidders, connections: int) -> None:
    told = check(bidders, [post(body) for body in bodies(connections)])
    statuses = [data[9:12] for data in told]
    if connections == 100:
        assert {statuses.count(b"200") > 50, statuses.count(b"204") > 10, statuses.count(b"400") > 5} == {True}


def test_two_exchanges_of_one_batch_keep_their_seats(bidders: Bidders) -> None:
    paths = ["/bid/openx", "/bid/pubmatic?x=y"]
    told = check(bidders, [post(body, path=paths[n % 2]) for n, body in enumerate(bodies(40))])
    seats = [b'"seat":"outbid"', b'"seat":"our \\"seat\\""']
    assert all(seats[n % 2] in data for n, data in enumerate(told) if data[9:12] == b"200")


def chunks(body: bytes) -> bytes:
    head = b"POST /bid/openx HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return (
        head
        + b"".join(b"1e\r\n%b\r\n" % body[at : at + 30] for at in range(0, 300, 30))
        + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body[300:]), body[300:]) if len(body) > 300 else b"0\r\n\r\n")
    )


def without_ticket(n: int, body: bytes) -> bytes:
    """Nine kinds of requests, most of which are not looked at ahead of time."""
    body = body.ljust(300)
    packed = gzip.compress(body, mtime=0)
    return (
        post(body),
        post(packed, "Content-Encoding: gzip"),
        chunks(body),
        post(body, path="/bid/nobody"),
        post(body).replace(b"POST", b"HEAD"),
        post(body, "Expect: 100-continue"),
        post(body, "Expect: wonders"),
        post(packed[:-1], "Content-Encoding: gzip"),
        post(b""),
    )[n % 9]


def test_requests_without_a_ticket_between_others_change_nothing(bidders: Bidders) -> None:
    told = check(bidders, [without_ticket(n, body) for n, body in enumerate(bodies(90))])
    assert {data[9:12] for data in told} == {b"200", b"204", b"400", b"404", b"405", b"417"}


@pytest.mark.parametrize("first", range(9))
def test_a_request_behind_another_of_the_same_read_is_not_taken_for_it(bidders: Bidders, first: int) -> None:
    """Without campaigns that draw: ties are drawn for in the order in which requests are looked at."""
    asked = bodies(60)
    said = [without_ticket(first, one) + post(two) for one, two in zip(asked[::2], asked[1::2], strict=True)]
    together, alone = bidders(), bidders()
    for each in (together, alone):
        for name in ("c-throttled", "c-tie-0", "c-tie-1"):
            each.world.switch_off(name)
    assert together.answers(said, len(said)) == alone.answers(said, 1)
    assert together.counted() == alone.counted()


@pytest.mark.parametrize("change", [(b"POST", b"HEAD"), (b"Host", b"Expect: wonders\r\nHost")])
def test_a_request_that_is_refused_by_its_head_is_not_looked_at(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    world = World(tmp_path, [campaign()])
    talk = Conversation(lambda *_: (500, b""), connections=Connections(world.decider, no_route))
    talk.feed(post(json.dumps(request()).encode()).replace(*change))
    assert talk.statuses[0] in (405, 417)
    assert (world.decider.requests, world.decider.admission.sample()[0]) == (0, {})


def test_a_batch_in_which_bidding_is_switched_off_gets_no_bids(bidders: Bidders) -> None:
    bidder = bidders()
    said = [post(body, path=f"/bid/{('openx', 'pubmatic')[n % 2]}") for n, body in enumerate(bodies(5)[:1] * 40)]
    bidder.world.board.set_exchange_off(3, True)
    told = bidder.answers(said, 40)
    assert [data[9:12] for data in told] == [b"200", b"204"] * 20
    bidder.world.drain()
    bidder.world.board.off = True
    assert {data[9:12] for data in bidder.answers(said, 40)} == {b"204"}
    assert bidder.reasons() == {Reason.OFF: 40}


def test_of_one_batch_those_who_waited_too_long_get_no_bid_and_the_others_theirs(bidders: Bidders) -> None:
    bidder = bidders()
    clock, admission = bidder.world.clock, bidder.world.decider.admission
    body = post(bodies(1)[0])
    old = bidder.hall.enter_all(8)
    began = clock.monotonic
    clock.monotonic += 50_000_000
    fresh = bidder.hall.enter_all(8)
    admission.stalled(began)
    for one, other in zip(old, fresh, strict=True):
        one.say(body * 2)
        other.say(body * 2)
    bidder.hall.turn()
    assert [[answer.status for answer in peer.told(2)] for peer in old] == [[204, 204]] * 8
    assert [[answer.status for answer in peer.told(2)] for peer in fresh] == [[200, 200]] * 8
    assert bidder.reasons() == {Reason.OVERLOAD: 16}


def test_a_connection_that_asks_for_an_unknown_exchange_is_in_no_exchanges_line(bidders: Bidders) -> None:
    bidder = bidders()
    body = bodies(1)[0]
    bad = post(b"\x1f\x8b", "Content-Encoding: gzip")
    bidder.answers([post(body), post(body, path="/bid/nobody"), post(body), bad], 4)
    assert favour.sort(bidder.hall.connections, 1.0, 0.0, 0.0, [2]) == 2
