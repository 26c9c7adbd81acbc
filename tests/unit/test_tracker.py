"""The tracker over HTTP, on a real spool: what it answers, what it writes, and what it never does."""

import asyncio
import json
from http import HTTPStatus
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from bidder.events.schema import NoticeFlag, NoticeKind
from bidder.money.tokens import FLAG_TEST, TokenClass
from bidder.ops.log import get
from bidder.tracking.booked import Booked
from bidder.tracking.door import Door
from bidder.tracking.handlers import PIXEL, Shared, application
from tests.trackers import LANDING, MINUTE, House, play


def test_win_bill_and_loss_are_answered_204_and_written(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        for path, method in (("win", "GET"), ("bill", "POST"), ("loss", "GET")):
            answer = await h.fetch(f"/{path}/{h.token()}?price=1.25&reason=102", method)
            assert (answer.code, answer.body) == (HTTPStatus.NO_CONTENT, b"")
            assert "Server" not in answer.headers
        win, bill, loss = h.written()
        assert (win.kind, win.price, win.loss_reason, win.lease) == (NoticeKind.WIN, 1_250_000, 0, 3)
        assert (bill.kind, bill.price, bill.bid_price) == (NoticeKind.BILL, 1_250_000, 2_400_000)
        assert (loss.kind, loss.loss_reason) == (NoticeKind.LOSS, 102)
        assert win.received_ms == MINUTE * 60_000 + 1_000

    play(tmp_path, scene)


def test_an_impression_gets_a_pixel_that_no_cache_keeps(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        assert len(PIXEL) == 43
        await h.always(f"/imp/{h.token(cls=TokenClass.PAGE)}", PIXEL, "image/gif")
        assert h.flags() == [(NoticeKind.IMPRESSION, 0)]

    play(tmp_path, scene)


def test_a_click_goes_where_the_book_says_every_time_and_counts_once(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        token = h.token(cls=TokenClass.PAGE)
        for _ in range(2):
            answer = await h.fetch(f"/click/{token}?url=https://evil.example/")
            assert (answer.code, answer.headers["Location"]) == (HTTPStatus.FOUND, LANDING)
        unknown = await h.fetch(f"/click/{h.token(2, TokenClass.PAGE, creative=99)}")
        assert (unknown.code, unknown.body) == (HTTPStatus.NOT_FOUND, b"")
        assert h.flags() == [(NoticeKind.CLICK, 0), (NoticeKind.CLICK, 0)]

    play(tmp_path, scene)


def test_a_forged_token_is_refused_and_leaves_no_trace_but_a_counter(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        genuine = h.token()
        other_class = h.token(cls=TokenClass.PAGE)
        forged = [genuine[:-1] + ("A" if genuine[-1] != "A" else "B"), "", "x", other_class, "%F0%9F%98%80", "a" * 500]
        for token in forged:
            assert (await h.fetch(f"/bill/{token}?price=1")).code == HTTPStatus.BAD_REQUEST
        assert (await h.fetch(f"/imp/{genuine}")).code == HTTPStatus.BAD_REQUEST
        assert h.written() == []
        assert h.desk.statistics()["forged"] == len(forged) + 1

    play(tmp_path, scene)


def test_a_refused_price_is_flagged_and_uses_up_no_key(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        token = h.token()
        for price in ("${AUCTION_PRICE}", "abc", "99"):
            assert (await h.fetch(f"/bill/{token}?price={price}")).code == HTTPStatus.NO_CONTENT
        assert (await h.fetch(f"/bill/{token}")).code == HTTPStatus.NO_CONTENT
        for _ in range(3):
            assert (await h.fetch(f"/bill/{token}?price=2")).code == HTTPStatus.NO_CONTENT
        assert [flags for _, flags in h.flags()] == [
            NoticeFlag.PRICE_MISSING,
            NoticeFlag.PRICE_INVALID,
            NoticeFlag.PRICE_ABOVE_BID,
            NoticeFlag.PRICE_MISSING,
            NoticeFlag.NONE,
        ]
        bill = {"booked": 1, "price_missing": 2, "price_invalid": 1, "price_above_bid": 1}
        assert h.desk.statistics()["notices"] == {"bill": bill}
        assert h.desk.statistics()["duplicates"] == 2

    play(tmp_path, scene)


def test_a_test_bid_gets_proper_answers_and_nothing_is_written(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        assert (await h.fetch(f"/bill/{h.token(flags=FLAG_TEST)}?price=1")).code == HTTPStatus.NO_CONTENT
        page = h.token(cls=TokenClass.PAGE, flags=FLAG_TEST)
        assert (await h.fetch(f"/imp/{page}")).body == PIXEL
        assert (await h.fetch(f"/click/{page}")).headers["Location"] == LANDING
        assert h.written() == []
        assert h.desk.statistics()["test"] == 3

    play(tmp_path, scene)


def test_a_token_of_an_exchange_that_is_gone_from_the_settings_books_nothing(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        assert (await h.fetch(f"/bill/{h.token(exchange=60)}?price=1")).code == HTTPStatus.NO_CONTENT
        assert h.flags() == [(NoticeKind.BILL, NoticeFlag.PRICE_UNVERIFIABLE)]

    play(tmp_path, scene)


def test_nothing_is_answered_before_it_is_on_the_disk(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        h.disk.gate.clear()
        asked = asyncio.ensure_future(h.fetch(f"/bill/{h.token()}?price=1"))
        while h.spool.position == 0:
            await asyncio.sleep(0.001)
        repeat = asyncio.ensure_future(h.fetch(f"/bill/{h.token()}?price=1"))
        while h.desk.underway < 2:
            await asyncio.sleep(0.001)
        assert (await h.fetch("/healthz")).code == HTTPStatus.OK
        assert not asked.done()
        assert not repeat.done()
        h.disk.gate.set()
        assert (await asked).code == (await repeat).code == HTTPStatus.NO_CONTENT

    play(tmp_path, scene)


def test_a_disk_that_refuses_is_answered_503_until_it_is_back(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        assert (await h.fetch("/readyz")).code == HTTPStatus.OK
        h.disk.error = OSError(28, "No space left on device")
        for path in ("bill", "win"):
            assert (await h.fetch(f"/{path}/{h.token()}?price=1")).code == HTTPStatus.SERVICE_UNAVAILABLE
        assert (await h.fetch("/readyz")).code == HTTPStatus.SERVICE_UNAVAILABLE
        assert (await h.fetch("/healthz")).code == HTTPStatus.OK
        h.disk.error = None
        assert (await h.fetch(f"/bill/{h.token()}?price=1")).code == HTTPStatus.NO_CONTENT
        assert (await h.fetch("/readyz")).code == HTTPStatus.OK
        assert h.flags() == [(NoticeKind.BILL, 0)]

    play(tmp_path, scene)


def test_without_keys_a_notice_is_not_called_forged(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        h.desk._opener = None
        assert (await h.fetch("/readyz")).code == HTTPStatus.SERVICE_UNAVAILABLE
        assert (await h.fetch(f"/bill/{h.token()}?price=1")).code == HTTPStatus.SERVICE_UNAVAILABLE

    play(tmp_path, scene)


def test_unknown_paths_and_wrong_methods_are_told_apart_without_a_body(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        for path in ("/", "/conv/x", f"/bill/{h.token()}/x", "/bill", "/metrics"):
            answer = await h.fetch(path)
            assert (answer.code, answer.body) == (HTTPStatus.NOT_FOUND, b"")
            assert "Server" not in answer.headers
        for method in ("HEAD", "PUT", "DELETE"):
            answer = await h.fetch(f"/bill/{h.token()}?price=1", method)
            assert (answer.code, answer.body) == (HTTPStatus.METHOD_NOT_ALLOWED, b"")
            assert answer.headers["Allow"] == "GET, POST"
        assert (await h.fetch("/readyz", "POST")).headers["Allow"] == "GET"
        assert h.written() == []

    play(tmp_path, scene)


def test_statistics_are_json_for_this_host(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        await h.fetch(f"/bill/{h.token()}?price=1")
        counted = json.loads((await h.fetch("/stats")).body)
        assert counted == {
            "notices": {"bill": {"booked": 1}},
            "duplicates": 0,
            "forged": 0,
            "test": 0,
            "unavailable": 0,
            "player_errors": {},
            "underway": 0,
        }

    play(tmp_path, scene)


def test_neither_tokens_nor_addresses_are_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def broken(creative: int) -> str | None:
        raise KeyError("10.9.8.7")

    async def scene(h: House) -> None:
        h.disk.error = OSError(5, "Input/output error")
        token = h.token()
        assert (await h.fetch(f"/bill/{token}?price=1")).code == HTTPStatus.SERVICE_UNAVAILABLE
        h.disk.error = None
        page = h.token(cls=TokenClass.PAGE)
        shared = Shared(h.desk, broken, get("tracker"))
        server = HTTPServer(Door(shared, application(shared)))
        [door] = bind_sockets(0, "127.0.0.1")
        server.add_socket(door)
        url = f"http://127.0.0.1:{door.getsockname()[1]}/click/{page}"
        answer = await AsyncHTTPClient().fetch(url, raise_error=False)
        assert (answer.code, answer.body) == (HTTPStatus.INTERNAL_SERVER_ERROR, b"")
        server.stop()
        await server.close_all_connections()
        from bidder.ops import log

        assert await asyncio.to_thread(log.flush, 5)
        said = capfd.readouterr().err
        assert "notice failed" in said
        assert not any(secret in said for secret in (token, page, "127.0.0.1", "10.9.8.7"))

    play(tmp_path, scene)


def test_a_late_notice_is_booked_once_and_counted_as_late(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        for _ in range(2):
            assert (await h.fetch(f"/bill/{h.token()}?price=1")).code == HTTPStatus.NO_CONTENT
        assert h.flags() == [(NoticeKind.BILL, NoticeFlag.LATE)]
        assert h.desk.statistics()["notices"] == {"bill": {"booked": 1, "late": 1}}

    play(tmp_path, scene, wall_ms=lambda: (MINUTE + 20) * 60_000)


def test_the_memory_of_booked_notices_is_bounded_and_keeps_the_newest() -> None:
    booked = Booked(capacity=10)
    keys = [n.to_bytes(2, "big") for n in range(100)]
    for key in keys:
        booked.add(key)
        assert key in booked
    assert all(key in booked for key in keys[-10:])
    assert sum(key in booked for key in keys) <= 20


def test_a_repeat_beyond_the_memory_is_written_again(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        for n in (1, 2, 3, 1):
            assert (await h.fetch(f"/bill/{h.token(n)}?price=1")).code == HTTPStatus.NO_CONTENT
        assert len(h.written()) == 4

    play(tmp_path, scene, booked=Booked(capacity=1))
