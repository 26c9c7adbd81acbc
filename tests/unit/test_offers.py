"""What an answer says, read in place: as an independent reader understands it, and nothing of what is no answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder._fast.offers import compare, offers
from bidder.events.schema import Shadow

PRICES = st.integers(1, 10**9)  # nano for one impression
BIDS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), PRICES), max_size=6)
OTHER = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def answer(bids: list[tuple[str, str, int]], more: object = None, id_: str = "r") -> bytes:
    offers = [
        {"x": more, "impid": imp, "cid": campaign, "adm": '\\"price\\":99', "price": price / 1e6}
        for imp, campaign, price in bids
    ]
    return json.dumps({"id": id_, "ext": more, "seatbid": [{"bid": offers, "seat": "s"}]}).encode()


@given(BIDS, OTHER)
def test_bids_are_those_that_another_reader_finds(bids: list[tuple[str, str, int]], more: object) -> None:
    assert offers(answer(bids, more)) == [
        (json.dumps(imp)[1:-1].encode(), json.dumps(campaign)[1:-1].encode(), price) for imp, campaign, price in bids
    ]


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    found = offers(text)
    assert found is None or isinstance(json.loads(text), dict)


@given(BIDS.filter(bool), st.data())
def test_what_is_cut_off_is_no_answer(bids: list[tuple[str, str, int]], data: st.DataObject) -> None:
    text = answer(bids)
    assert offers(text[: data.draw(st.integers(0, len(text) - 1))]) is None


A, B = ("1", "c-1", 5_000_000), ("2", "c-2", 4_000_000)


@pytest.mark.parametrize(
    ("ours", "theirs", "how"),
    [
        ([A, B], [B, A], Shadow.SAME),
        ([], [], Shadow.SAME),
        ([A], [(*A[:2], 1)], Shadow.PRICE),
        ([A], [("1", "c-9", A[2])], Shadow.CAMPAIGN),
        ([A], [A, B], Shadow.CAMPAIGN),
        ([], [A], Shadow.BID),
        ([A], [], Shadow.NO_BID),
    ],
)
def test_answers_are_compared_by_imp_campaign_and_price(
    ours: list[tuple[str, str, int]], theirs: list[tuple[str, str, int]], how: Shadow
) -> None:
    assert compare(answer(ours), answer(theirs)) == how
