"""The exchange's HTTP client: what is an answer, and what becomes of requests when there is none."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bidder.simulator.connections import Answer, Failure, Pool, answer_in, field_of
from tests.small_bidder import CUT, SmallBidder, small_bidder

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Other: a\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{ab\r\n1\r\n}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (OK, 200, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\ncontent-length:0\r\n\r\n", 302, b""),
        (CHUNKED, 200, b"{ab}"),
    ],
)
def test_an_answer_is_read_however_it_is_cut(data: bytes, status: int, body: bytes) -> None:
    for n in range(len(data)):
        assert answer_in(data[:n]) is None, n
    found = answer_in(data)
    assert found is not None
    answer, keep = found
    assert (answer.status, answer.body, keep) == (status, body, True)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        OK + b"H",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        answer_in(data)


def test_a_connection_that_will_be_closed_is_not_used_again() -> None:
    assert answer_in(b"HTTP/1.1 204 No Content\r\nConnection: Close\r\n\r\n") == (
        Answer(204, b"HTTP/1.1 204 No Content\r\nConnection: Close", b""),
        False,
    )


def test_fields_are_found_by_their_whole_name() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Content-Length: 9\r\nContent-Length:  7 \r\nLocation: /A"
    assert field_of(head, b"content-length") == b"7"
    assert field_of(head, b"location") == b"/A"
    assert field_of(head, b"host") is None


GET = b"GET /win/genuine HTTP/1.1\r\nHost: x\r\n\r\n"
BID = b'POST /bid/generic HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{"id":"1","imp":[]}\n'
Use = Callable[[Pool, SmallBidder], Awaitable[None]]


async def ask(pool: Pool, payload: bytes) -> Answer | Failure:
    answered: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
    pool.send(payload, answered.set_result)
    return await asyncio.wait_for(answered, 10)


def using(use: Use, *, size: int = 2, most: int = 4, backlog: int = 100, timeout_s: float = 10.0) -> None:
    async def scene() -> None:
        async with small_bidder() as bidder:
            _, _, port = bidder.url.rpartition(":")
            pool = Pool("127.0.0.1", int(port), size=size, most=most, backlog=backlog, timeout_s=timeout_s)
            try:
                await pool.open()
                await use(pool, bidder)
            finally:
                await pool.close()

    asyncio.run(scene())


def test_connections_are_kept_for_the_next_request() -> None:
    async def use(pool: Pool, bidder: SmallBidder) -> None:
        for _ in range(20):
            answer = await ask(pool, BID)
            assert isinstance(answer, Answer)
            assert answer.status == 204
        assert bidder.connections == 2
        assert pool.closed_by_peer == 0

    using(use)


def test_more_connections_are_opened_while_requests_wait_up_to_the_bound() -> None:
    async def use(pool: Pool, bidder: SmallBidder) -> None:
        bidder.open.clear()
        asked = [asyncio.ensure_future(ask(pool, BID)) for _ in range(30)]
        while len(bidder.requests) < 4:
            await asyncio.sleep(0)
        assert pool.underway == 30
        bidder.open.set()
        assert all(isinstance(answer, Answer) for answer in await asyncio.gather(*asked))
        assert bidder.connections == 4
        assert len(bidder.requests) == 30

    using(use)


def test_a_full_queue_refuses_at_once() -> None:
    async def use(pool: Pool, bidder: SmallBidder) -> None:
        bidder.open.clear()
        asked = [asyncio.ensure_future(ask(pool, BID)) for _ in range(5)]
        answers = list(await asyncio.gather(*asked[3:]))
        assert answers == [Failure.BACKLOG] * 2
        bidder.open.set()
        await asyncio.gather(*asked[:3])

    using(use, size=1, most=1, backlog=2)


def test_a_cut_connection_fails_its_request_only_and_is_replaced() -> None:
    async def use(pool: Pool, bidder: SmallBidder) -> None:
        bidder._made.add("genuine")
        bidder.faults.append(CUT)
        assert await ask(pool, GET) is Failure.CLOSED
        assert pool.closed_by_peer == 1
        answer = await ask(pool, GET)
        assert isinstance(answer, Answer)
        assert answer.status == 204

    using(use, size=1)


def test_an_answer_that_never_comes_is_a_timeout() -> None:
    async def use(pool: Pool, bidder: SmallBidder) -> None:
        bidder.open.clear()
        assert await ask(pool, BID) is Failure.TIMEOUT
        assert pool.closed_by_peer == 0

    using(use, timeout_s=0.05)


def test_where_nobody_listens_requests_fail_and_opening_says_so() -> None:
    async def scene() -> None:
        async with small_bidder() as bidder:
            port = int(bidder.url.rpartition(":")[2])
        pool = Pool("127.0.0.1", port, size=1, most=1, backlog=10, timeout_s=1)
        with pytest.raises(OSError):
            await pool.open()
        assert await ask(pool, BID) is Failure.CONNECT
        await pool.close()

    asyncio.run(scene())
