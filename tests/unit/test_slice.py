"""The slice: the hash of the specification, ranges of buckets, and the arm in all that is counted and sealed."""

import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder._fast.slice import bucket, hash32
from bidder.events.schema import Kind
from bidder.money.tokens import TokenClass
from bidder.openrtb.codes import pack3
from tests.reference.xxh32 import xxh32
from tests.worlds import World, campaign, imp, request

IFA = "7a3b2a52-6a5e-4c4c-9d5f-0123456789ab"

VECTORS = {
    b"": 0x02CC5D05,
    b"a": 0x550D7456,
    b"abc": 0x32D153FF,
    b"Nobody inspects the spammish repetition": 0xE2293B2F,
    b"1234567890" * 8: 0x9C05F475,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("slice"), [campaign()])


@pytest.fixture
def sliced(world: World) -> Iterator[World]:
    """With no slice before and after."""
    yield world
    for arm in (1, 2):
        world.board.set_arm(arm, begin=0, end=0, exchange=0, country=0)


@pytest.mark.parametrize("text", VECTORS)
def test_hash_is_that_of_the_published_algorithm(text: bytes) -> None:
    assert hash32(text) == xxh32(text) == VECTORS[text]


@given(st.binary(max_size=200))
def test_any_bytes_hash_as_the_specification_says(text: bytes) -> None:
    assert hash32(text) == xxh32(text)
    assert bucket(text) == xxh32(text) % 10_000


def test_a_slice_is_as_large_as_it_says_and_a_wider_one_contains_it() -> None:
    draw = random.Random(7)
    buckets = [bucket(str(uuid.UUID(int=draw.getrandbits(128))).encode()) for _ in range(200_000)]
    share = {percent: sum(one < percent * 100 for one in buckets) / len(buckets) for percent in (1, 5, 25)}
    assert all(abs(found - percent / 100) < 0.002 for percent, found in share.items()), share
    assert {one for one in buckets if one < 500} <= {one for one in buckets if one < 2_500}


def asked(**changes: object) -> dict[str, object]:
    return request([imp()], device={"ifa": IFA, "geo": {"country": "USA"}}) | changes


def arms(world: World, body: dict[str, object], exchange: str = "openx") -> set[int]:
    return {row.arm for row in world.ask(body, exchange).rows}


def test_every_counter_and_token_of_a_request_names_its_arm(sliced: World) -> None:
    mine = bucket(IFA.encode())
    sliced.board.set_arm(1, begin=mine, end=mine + 1)
    answer = sliced.ask(asked())
    assert Counter((row.kind, row.arm) for row in answer.rows) == {
        (kind, 1): 1 + (kind == Kind.GROUP) for kind in (Kind.REQUEST, Kind.BID, Kind.LATENCY, Kind.GROUP)
    }
    token = re.search(r"[\w-]{60,}", answer.bids[0]["burl"])
    assert token is not None
    said = sliced.opener.open(token[0], TokenClass.NOTICE)
    assert said is not None
    assert said.arm == 1


def test_a_no_bid_names_its_arm_too_and_what_is_not_read_has_none(sliced: World) -> None:
    sliced.board.set_arm(1, begin=0, end=10_000)
    assert arms(sliced, asked(imp=[imp(banner={"format": [{"w": 1, "h": 1}]})])) == {1}
    assert arms(sliced, asked(imp=[])) == {1}
    assert {row.arm for row in sliced.ask(b"{").rows} == {0}
    sliced.board.off = True
    try:
        assert arms(sliced, asked()) == {0}
    finally:
        sliced.board.off = False


def test_the_next_request_has_another_arm_when_the_slice_has_changed(sliced: World) -> None:
    mine = bucket(IFA.encode())
    assert arms(sliced, asked()) == {0}
    sliced.board.set_arm(2, begin=mine, end=10_000)
    assert arms(sliced, asked()) == {2}
    sliced.board.set_arm(1, begin=0, end=mine)
    assert arms(sliced, asked()) == {2}
    sliced.board.set_arm(2, begin=mine + 1)
    assert arms(sliced, asked()) == {0}
    sliced.board.set_arm(1, end=mine + 1)
    assert arms(sliced, asked()) == {1}
    sliced.board.set_arm(1, end=0)
    assert arms(sliced, asked()) == {0}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (asked(id="r-9"), IFA),
        (asked(id="r-9", device={"ifa": IFA.upper()}), IFA.upper()),
        (asked(id="r-9", device={"ifa": "00000000-0000-0000-0000-000000000000"}), "r-9"),
        (asked(id="r-9", device={}), "r-9"),
        (asked(id="r-9", regs={"coppa": 1}), "r-9"),
        (asked(id="r/\N{SNOWMAN}", device={}), "r/\N{SNOWMAN}"),
        ({"imp": [imp()]}, ""),
    ],
    ids=["ifa", "as it is written", "nobody's", "no ifa", "no consent", "escaped", "neither"],
)
def test_the_key_is_the_ifa_where_consent_permits_ids_else_the_id(
    sliced: World, body: dict[str, object], key: str
) -> None:
    mine = bucket(key.encode())
    sliced.board.set_arm(1, begin=mine, end=mine + 1)
    escaped = json.dumps(body).replace("r/", "r\\/").encode()
    assert {row.arm for row in sliced.ask(escaped).rows} == {1}


def test_a_canary_for_one_exchange_or_country_gets_no_other_request(sliced: World) -> None:
    sliced.board.set_arm(1, begin=0, end=10_000, exchange=sliced.exchanges["openx"].key)
    assert (arms(sliced, asked(), "openx"), arms(sliced, asked(), "pubmatic")) == ({1}, {0})
    sliced.board.set_arm(1, exchange=0, country=pack3("CAN"))
    assert arms(sliced, asked()) == {0}
    sliced.board.set_arm(1, country=pack3("USA"))
    assert arms(sliced, asked()) == {1}
