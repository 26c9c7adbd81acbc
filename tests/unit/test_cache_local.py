"""The first level of the cache: what is good, what has to go."""

from hypothesis import given
from hypothesis import strategies as st

from bidder.cache import Entry, Local
from bidder.cache.entry import decode
from bidder.cache.local import OVERHEAD


def entry(value: bytes | None = b"v", good_s: float = 100) -> Entry:
    return Entry(value, good_s / 2, good_s)


def test_what_is_no_longer_good_is_gone() -> None:
    local = Local(10_000)
    local.put("a", entry(good_s=10))
    assert local.get("a", 9.9) == entry(good_s=10)
    assert local.get("a", 10) is None
    assert (len(local), local.bytes) == (0, 0)


def test_there_is_none_is_an_answer() -> None:
    local = Local(10_000)
    local.put("a", entry(None))
    found = local.get("a", 0)
    assert found is not None
    assert found.value is None


def test_the_least_recently_used_makes_room() -> None:
    local = Local(3 * (OVERHEAD + 2))
    for key in "abc":
        local.put(key, entry())
    local.get("a", 0)
    local.put("d", entry())
    assert [key for key in "abcd" if local.get(key, 0)] == ["a", "c", "d"]
    assert local.evicted == 1


def test_what_is_larger_than_everything_is_not_kept() -> None:
    local = Local(1_000)
    local.put("a", entry(b"x" * 1_000))
    assert (len(local), local.bytes) == (0, 0)


keys = st.sampled_from("abcdef")
steps = st.one_of(
    st.tuples(st.just("put"), keys, st.integers(0, 600)),
    st.tuples(st.just("get"), keys, st.just(0)),
    st.tuples(st.just("drop"), keys, st.just(0)),
)


@given(st.lists(steps, max_size=60))
def test_bytes_are_those_of_what_is_there_and_never_above_the_budget(asked: list[tuple[str, str, int]]) -> None:
    local, there, used = Local(1_500), {}, []  # type: ignore[var-annotated]
    for what, key, n in asked:
        if what == "put":
            local.put(key, entry(b"x" * n))
            there[key] = n
        elif what == "drop":
            local.drop(key)
            there.pop(key, None)
        else:
            assert (local.get(key, 0) is not None) == (key in there)
        if key in used:
            used.remove(key)
        if key in there:
            used.append(key)
        while sum(OVERHEAD + 1 + size for size in there.values()) > 1_500:
            there.pop(used.pop(0))
        assert local.bytes == sum(OVERHEAD + 1 + size for size in there.values())
        assert len(local) == len(there)


@given(st.one_of(st.none(), st.binary()), st.floats(0, 1e12))
def test_an_entry_comes_back_from_the_wire(value: bytes | None, fresh_s: float) -> None:
    assert decode(Entry(value, fresh_s, 5).encode()) == Entry(value, fresh_s, 5)


@given(st.binary(max_size=30))
def test_other_bytes_are_no_entry_or_one(data: bytes) -> None:
    found = decode(data)
    assert found is None or found.encode()[17:] == (data[17:] if data[16] else b"")
