"""States of switches meet in any order, any number of times, and every host ends with the same."""

import functools
import itertools

from hypothesis import given
from hypothesis import strategies as st

from bidder.ops.switches import Flip, Switches, decode, encode

flips = st.builds(
    Flip,
    kind=st.sampled_from(["exchange", "campaign"]),
    off=st.booleans(),
    name=st.sampled_from(["a", "b"]),
    at_ms=st.integers(1, 4),
    who=st.sampled_from(["ann", "bob"]),
    host=st.sampled_from(["h1", "h2"]),
)
states = st.lists(flips, max_size=6).map(Switches)


def merged(*some: Switches) -> list[Flip]:
    return functools.reduce(lambda a, b: Switches([*a.flips, *b.flips]), some, Switches()).flips


@given(st.lists(states, min_size=3, max_size=3))
def test_merging_commutes_associates_and_may_be_repeated(three: list[Switches]) -> None:
    a, b, c = three
    expected = merged(a, b, c)
    for order in itertools.permutations(three):
        assert merged(*order) == expected
    assert merged(a, Switches(merged(b, c))) == merged(Switches(merged(a, b)), c) == expected
    assert merged(a, a) == a.flips
    assert merged(a, b, c, b, a) == expected
    assert Switches(decode(encode(a.flips))).flips == a.flips


@given(states, flips)
def test_of_each_switch_the_latest_flip_counts_and_what_was_news_is_told(state: Switches, flip: Flip) -> None:
    before = {known.switch: known for known in state.flips}
    news = state.merge([flip])
    mine = before.get(flip.switch)
    assert (news == [flip]) == (mine is None or flip.order > mine.order)
    now = {known.switch: known for known in state.flips}
    assert now == {**before, **{one.switch: one for one in news}}


@given(states, flips)
def test_a_flip_made_here_outdoes_all_that_this_host_has_heard(state: Switches, flip: Flip) -> None:
    made = state.next(flip)
    assert state.merge([made]) == [made]
    assert (flip.name in state.off(flip.kind)) == flip.off


@given(states, states)
def test_an_edited_file_ends_in_the_positions_that_it_says(state: Switches, written: Switches) -> None:
    plain = [Flip(flip.kind, flip.off, flip.name) for flip in written.flips]
    state.merge(state.edited(plain, 2, "editor", "h1"))
    assert {kind: state.off(kind) for kind in ("exchange", "campaign")} == {
        kind: written.off(kind) for kind in ("exchange", "campaign")
    }
    assert state.edited(state.flips, 9, "editor", "h1") == [], "what is written down as it is changes nothing"
