"""A head that is compared with one remembered is answered as one that is read: same bytes, whatever came before it."""

import random

from hypothesis import given
from hypothesis import strategies as st

from bidder._fast.handler import PythonHandler
from bidder._fast.http import Connections
from tests.http_wire import Conversation, no_route

LINES = st.sampled_from([
    "Host: a", "Host: b.example:8000", "Host: a\r\nHost: a", "Content-Type: application/json", "Connection: close",
    "Connection: keep-alive", "x-openrtb-version: 2.6", "x-openrtb-version: 2.5", "Accept-Encoding: gzip",
    "Content-Encoding: identity", "Content-Encoding: br", "Expect: 100-continue", "X-Long: " + "y" * 990,
    "Transfer-Encoding: chunked", "Bad Name: 1", "Empty:", "Content-Length:",
])  # fmt: skip
LENGTHS = st.sampled_from([
    "{n}", " {n}", "{n} ", "0{n}", "000000000{n}", "{n}x", "-{n}", "+{n}", "", "{more}", "{n}\t", "{n},{n}",
])  # fmt: skip
STARTS = st.sampled_from([
    "POST /bid/generic HTTP/1.1", "POST /bid/openx HTTP/1.1", "POST /bid/generic HTTP/1.0", "GET /bid/generic HTTP/1.1",
    "POST /bid/generic?x=1 HTTP/1.1", "POST  /bid/generic HTTP/1.1",
])  # fmt: skip
HEADS = st.tuples(STARTS, st.lists(LINES, max_size=4), LENGTHS, st.lists(LINES, max_size=3))
SIZES = st.sampled_from([1, 2, 9, 10, 11, 99, 100, 101, 1_000])


def text_of(head: tuple[str, list[str], str, list[str]], n: int) -> bytes:
    start, before, length, behind = head
    lines = [start, *before, "Content-Length: " + length.format(n=n, more=n + 1), *behind]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def echo(exchange: bytes, body: bytes) -> tuple[int, bytes]:
    return 200, b"%s %d" % (exchange, len(body))


SAID = st.lists(st.tuples(st.integers(0, 2), SIZES, st.integers(0, 9)), min_size=2, max_size=12)


@given(SAID, st.lists(HEADS, min_size=3, max_size=3))
def test_a_head_means_the_same_whether_it_was_seen_before_or_not(
    said: list[tuple[int, int, int]], heads: list[tuple[str, list[str], str, list[str]]]
) -> None:
    shared = Connections(PythonHandler(echo), no_route)
    for which, n, split in said:
        data = text_of(heads[which], n) + b"x" * n
        pieces = [data[: len(data) // split], data[len(data) // split :]] if split > 6 else [data]
        known, new = Conversation(echo, connections=shared), Conversation(echo)
        for conversation in (known, new):
            conversation.feed_all(pieces)
        assert known.written == new.written
        assert known.wire.half_closed == new.wire.half_closed
        assert known.wire.closed == new.wire.closed


def test_lengths_of_all_sizes_follow_each_other_on_one_head() -> None:
    dice = random.Random(5)
    head = ("POST /bid/generic HTTP/1.1", ["Host: a"], "{n}", ["x-openrtb-version: 2.5"])
    conversation = Conversation(echo)
    sizes = [dice.choice([1, 9, 10, 99, 100, 9_999, 10_000, 60_000]) for _ in range(200)]
    for n in sizes:
        conversation.feed(text_of(head, n) + b"x" * n)
    assert [answer.body for answer in conversation.answers] == [b"generic %d" % n for n in sizes]
    assert {answer.fields["x-openrtb-version"] for answer in conversation.answers} == {"2.5"}
