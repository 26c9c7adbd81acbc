"""Clicks and what they lead to: redirects that go nowhere but where the book says, click ids, conversions."""

import re
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient

from bidder.events.schema import NoticeFlag, NoticeKind
from bidder.money.tokens import FLAG_TEST, Opener, TokenClass, click_id, load_keys
from bidder.settings import Tracking
from tests.trackers import CREATIVE, LANDING, MINUTE, House, play

SHOP = "https://shop.example/buy?cid={click_id}&x=1"
WITHIN = "https://t.example/r?to=https%3A%2F%2Fshop.example%2F%3Fc%3D%7Bclick_id%7d&c={click_id}"
TOKEN = re.compile(r"[A-Za-z0-9_-]{124}")


async def clicked(h: House, n: int = 1, **fields: int) -> str:
    """The click id that a click got."""
    answer = await h.fetch(f"/click/{h.token(n, TokenClass.PAGE, **fields)}")
    assert answer.code == HTTPStatus.FOUND
    return parse_qs(urlsplit(answer.headers["Location"]).query)["cid"][0]


def test_a_landing_page_gets_the_id_of_the_click_the_same_every_time(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        first = await clicked(h)
        assert await clicked(h) == first
        assert await clicked(h, 2) != first
        assert TOKEN.fullmatch(first)
        opened = Opener(load_keys(tmp_path / "token.keys")).open(first, TokenClass.CLICK)
        assert opened is not None
        assert (opened.creative, opened.bid_price, opened.user, opened.user_stamp) == (CREATIVE, 2_400_000, 0, 0)

    play(tmp_path, scene, landings={CREATIVE: SHOP})


def test_a_click_id_does_not_say_by_whom_caps_count(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        found = Opener(load_keys(tmp_path / "token.keys")).open(
            await clicked(h, user=77, user_stamp=5), TokenClass.CLICK
        )
        assert found is not None
        assert (found.user, found.user_stamp) == (0, 0)

    play(tmp_path, scene, landings={CREATIVE: SHOP})


def test_the_id_is_filled_in_also_where_the_url_is_inside_another_one(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        answer = await h.fetch(f"/click/{h.token(cls=TokenClass.PAGE)}")
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
        [inner] = query["to"]
        assert parse_qs(urlsplit(inner).query)["c"] == query["c"]
        assert TOKEN.fullmatch(query["c"][0])

    play(tmp_path, scene, landings={CREATIVE: WITHIN})


def test_a_conversion_counts_once_whether_it_is_got_or_posted(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        ids = [await clicked(h, n) for n in range(3)]
        assert (await h.fetch(f"/conversion/{ids[0]}?value=12.5")).code == HTTPStatus.NO_CONTENT
        assert (await h.fetch(f"/conversion/{ids[1]}?value=3", "POST")).code == HTTPStatus.NO_CONTENT
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        posted = await AsyncHTTPClient().fetch(
            f"{h.url}/conversion/{ids[2]}", method="POST", body="value=7", headers=form
        )
        assert posted.code == HTTPStatus.NO_CONTENT
        for click in ids:
            assert (await h.fetch(f"/conversion/{click}?value=99")).code == HTTPStatus.NO_CONTENT
        found = [(n.kind, n.flags, n.price) for n in h.written() if n.kind == NoticeKind.CONVERSION]
        assert found == [(NoticeKind.CONVERSION, 0, value * 10**8) for value in (125, 30, 70)]

    play(tmp_path, scene, landings={CREATIVE: SHOP})


def test_only_a_click_id_tells_of_a_conversion(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        page, notice = h.token(cls=TokenClass.PAGE), h.token()
        for token in (page, notice):
            assert (await h.fetch(f"/conversion/{token}")).code == HTTPStatus.BAD_REQUEST
        click = await clicked(h, 2)
        for path in ("win", "bill", "loss", "imp", "view", "start", "complete", "click", "error"):
            assert (await h.fetch(f"/{path}/{click}?price=1")).code == HTTPStatus.BAD_REQUEST
        assert [n.kind for n in h.written()] == [NoticeKind.CLICK]

    play(tmp_path, scene, landings={CREATIVE: SHOP})


def test_where_views_convert_the_token_of_the_page_does_for_so_long(tmp_path: Path) -> None:
    now_ms = [(MINUTE + 1) * 60_000]

    async def scene(h: House) -> None:
        assert (await h.fetch(f"/conversion/{h.token(1, TokenClass.PAGE)}?value=1")).code == HTTPStatus.NO_CONTENT
        now_ms[0] += 1_800_000
        assert (await h.fetch(f"/conversion/{h.token(2, TokenClass.PAGE)}?value=1")).code == HTTPStatus.NO_CONTENT
        assert (await h.fetch(f"/conversion/{h.token(3)}")).code == HTTPStatus.BAD_REQUEST
        assert h.flags() == [(NoticeKind.CONVERSION, 0), (NoticeKind.CONVERSION, NoticeFlag.EXPIRED)]

    play(tmp_path, scene, tracking=Tracking(view_window_s=1_800), wall_ms=lambda: now_ms[0])


def test_a_test_click_converts_to_nothing(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        click = await clicked(h, flags=FLAG_TEST)
        assert (await h.fetch(f"/conversion/{click}?value=5")).code == HTTPStatus.NO_CONTENT
        assert h.written() == []

    play(tmp_path, scene, landings={CREATIVE: SHOP})


@pytest.mark.parametrize(
    "wicked",
    [
        *["//evil.example", "javascript:alert(1)", "ftp://acme.example/", "/path", "", "https://"],
        *["https://acme.example/\r\nSet-Cookie: a=b", "https://acme.example/\n", "https://acme.example/\x00"],
        *["https://acme.example/ü", "https://\N{CYRILLIC SMALL LETTER A}cme.example/", "https://acme.example/ b"],
    ],
)
def test_a_book_that_says_no_plain_web_address_sends_nobody_anywhere(tmp_path: Path, wicked: str) -> None:
    async def scene(h: House) -> None:
        answer = await h.fetch(f"/click/{h.token(cls=TokenClass.PAGE)}")
        assert (answer.code, answer.body) == (HTTPStatus.NOT_FOUND, b"")
        assert "Location" not in answer.headers
        assert "Set-Cookie" not in answer.headers

    play(tmp_path, scene, landings={CREATIVE: wicked})


@pytest.mark.parametrize(
    "tail",
    [
        *["?url=https://evil.example", "?to=//evil.example&r=https://evil.example", "?price=1%0d%0aLocation:%20//evil"],
        *["#https://evil.example", "?{click_id}=//evil", "?Location=x%0aSet-Cookie:%20a=b", "?%F0%9F%98%80"],
    ],
)
def test_nothing_that_follows_the_token_moves_the_target(tmp_path: Path, tail: str) -> None:
    async def scene(h: House) -> None:
        answer = await h.fetch(f"/click/{h.token(cls=TokenClass.PAGE)}{tail}")
        assert (answer.code, answer.headers["Location"]) == (HTTPStatus.FOUND, LANDING)
        assert "Set-Cookie" not in answer.headers
        assert "evil" not in unquote(str(answer.headers))

    play(tmp_path, scene)


def test_sealing_a_click_id_twice_gives_one_text(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        page = h.opened(h.token(cls=TokenClass.PAGE, user=9), TokenClass.PAGE)
        assert click_id(h.sealer, page) == click_id(h.sealer, page)

    play(tmp_path, scene)
