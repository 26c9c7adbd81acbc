"""Counters against a dictionary: any order of counting, flipping, draining and dying adds up."""

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bidder._fast.counters import CounterFile
from bidder.events.outbox import KEY, Outbox

KEYS = st.tuples(*[st.integers(1, 4)] * 6, *[st.integers(0, 3)] * 8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, 2), st.lists(st.tuples(KEYS, st.integers(1, 9)), max_size=4)),
        st.tuples(st.just("window"), st.just(0), st.just([])),
        st.tuples(st.just("restart"), st.just(0), st.just([])),
        st.tuples(st.just("die"), st.integers(0, 2), st.lists(st.tuples(KEYS, st.integers(1, 9)), max_size=4)),
    ),
    max_size=20,
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_windows_add_up_to_what_was_counted(steps: list[tuple[str, int, list[tuple[tuple[int, ...], int]]]]) -> None:
    counted: Counter[tuple[int, ...]] = Counter()
    published: Counter[tuple[int, ...]] = Counter()
    amounts: Counter[tuple[int, ...]] = Counter()
    with tempfile.TemporaryDirectory() as place:
        state = Path(place)
        file = CounterFile(state / "counters")
        workers = [file.open_worker(row) for row in range(3)]
        living = {0, 1, 2}
        outbox = Outbox(state, "h/bidder", 100)
        seqs = []

        def window() -> None:
            deltas = outbox.close_window(file, living, 0)
            seqs.append(deltas.seq)
            for row in deltas.rows:
                fields = tuple(getattr(row, name) for name in row.__struct_fields__)
                published[fields[:-2]] += row.n
                amounts[fields[:-2]] += row.amount

        for step, row, counts in steps:
            if step == "window":
                window()
            elif step == "restart":
                file = CounterFile(state / "counters")
                outbox = Outbox(state, "h/bidder", 100)
            else:
                if row not in living:
                    workers[row] = file.open_worker(row)
                    living.add(row)
                workers[row].__enter__()
                for fields, n in counts:
                    counted[fields] += n
                    workers[row].count(KEY.pack(*fields), n, 3 * n)
                if step == "die":
                    living.remove(row)
                else:
                    workers[row].__exit__()
        window()
        window()
    assert published == counted
    assert amounts == Counter({fields: 3 * n for fields, n in counted.items()})
    assert seqs == list(range(1, len(seqs) + 1))
