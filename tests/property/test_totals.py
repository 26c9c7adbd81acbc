"""Rows of a window summed by what they count: nothing is lost, nothing is counted twice."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bidder.events.schema import Kind, Row
from bidder.events.totals import summed

small = st.integers(0, 2)
ROWS = st.lists(
    st.builds(
        Row,
        *[st.sampled_from(Kind), small, small, small],
        *[small] * 10,
        st.integers(1, 1_000_000),
        st.integers(0, 10**15),
    )
)


@given(ROWS)
def test_there_is_one_row_for_each_kind_exchange_arm_and_reason_with_all_that_was_counted(rows: list[Row]) -> None:
    counts: Counter[tuple[int, int, int, int]] = Counter()
    amounts: Counter[tuple[int, int, int, int]] = Counter()
    for row in rows:
        counts[row.kind, row.exchange, row.arm, row.reason] += row.n
        amounts[row.kind, row.exchange, row.arm, row.reason] += row.amount
    found = summed(rows)
    assert {(row.kind, row.exchange, row.arm, row.reason): (row.n, row.amount) for row in found} == {
        what: (counts[what], amounts[what]) for what in counts
    }
    assert len(found) == len(counts)
    assert all(row.campaign == row.minute == row.country == row.format == 0 for row in found)
