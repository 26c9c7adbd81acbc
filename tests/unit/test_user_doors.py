"""The doors for browsers: what is set, stored and answered, and what never is."""

import asyncio
import types
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from bidder.ops.log import get
from bidder.settings import SHIPPED_EXCHANGES, Consent, Users
from bidder.tracking.handlers import PIXEL, Shared, application
from bidder.tracking.visit import Doors, routes
from bidder.users.consent import ConsentGate
from bidder.users.people import OF_BUYERUID, OF_USER_ID, People
from bidder.users.pixels import signature
from bidder.users.store import UserStore
from tests.consent_strings import agreed
from tests.users import a_store
from tests.worlds import SECRET, user_keys

OWN = "A" * 22
VENDOR = 30
EXCHANGES = SHIPPED_EXCHANGES | {
    "openx": replace(SHIPPED_EXCHANGES["openx"], match_url="https://x.example/sync?id={uid}&c={gdpr_consent}"),
    "closed": replace(SHIPPED_EXCHANGES["generic"], key=60, enabled=False),
}


class House:
    """The doors on a port of their own, over a real memcached."""

    def __init__(self, address: str, port: int, *, secure: bool = False) -> None:
        self.store: UserStore = a_store(address)
        self.learned: list[int] = []
        self.told: list[str] = []
        self.people = People(self.store, user_keys, Users(), learn=self.learned.append)
        self.port = port
        desk: Any = types.SimpleNamespace(draining=False)
        shared = Shared(desk, lambda creative: asyncio.sleep(0, None), get("test"))
        doors = Doors(
            self.people, ConsentGate(Consent(vendor_id=VENDOR)), EXCHANGES, SECRET, 1_000, secure, self.told.append
        )
        self.application = application(shared, routes(shared, doors))

    async def get(self, path: str, cookie: str | None = None, **headers: str) -> HTTPResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie is not None:
            sent["Cookie"] = cookie
        answer = await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{self.port}{path}", headers=sent, follow_redirects=False, raise_error=False
        )
        await self.people.settled()
        return answer

    async def segments(self, own_id: str) -> set[str]:
        return await self.of(self.people.digest(OF_BUYERUID, 0, own_id))

    async def of(self, digest: int) -> set[str]:
        found = await self.store.fetch([digest])
        assert found is not None
        return set(found[digest].segments) if digest in found else set()


def play(address: str, scene: Callable[[House], Awaitable[None]], *, secure: bool = False) -> None:
    async def whole() -> None:
        (socket,) = bind_sockets(0, "127.0.0.1")
        house = House(address, socket.getsockname()[1], secure=secure)
        server = HTTPServer(house.application)
        server.add_sockets([socket])
        try:
            await scene(house)
        finally:
            server.stop()
            await server.close_all_connections()
            house.store.close()

    asyncio.run(whole())


def pixel(segment: str = "s-shoes", owner: str = "acme", **arguments: str) -> str:
    query = "".join(f"&{name}={value}" for name, value in arguments.items())
    return f"/visit/{owner}/{segment}?sig={signature(SECRET, owner, segment)}{query}"


def cookies(answer: HTTPResponse) -> dict[str, str]:
    return dict(line.partition(";")[0].split("=", 1) for line in answer.headers.get_list("Set-Cookie"))


def test_a_visit_sets_a_random_cookie_and_the_segment_of_the_pixel(memcached: str) -> None:
    async def scene(h: House) -> None:
        answer = await h.get(pixel())
        assert (answer.code, answer.body, answer.headers["Content-Type"]) == (200, PIXEL, "image/gif")
        own = cookies(answer)["ob"]
        assert len(own) == 22
        assert await h.segments(own) == {"s-shoes"}
        again = await h.get(pixel("s-hats"), cookie=f"ob={own}")
        assert cookies(again)["ob"] == own
        assert await h.segments(own) == {"s-shoes", "s-hats"}
        assert h.learned == [h.people.digest(OF_BUYERUID, 0, own)] * 2

    play(memcached, scene)


def test_a_visit_soon_after_another_asks_nobody(memcached: str) -> None:
    async def scene(h: House) -> None:
        own = cookies(await h.get(pixel()))["ob"]
        for _ in range(3):
            assert (await h.get(pixel(), cookie=f"ob={own}")).body == PIXEL
        assert (h.people.counts["visits"], h.people.counts["repeats"]) == (1, 3)

    play(memcached, scene)


@pytest.mark.parametrize("cookie", ["ob=short", "ob=" + "!" * 22, "other=1", "ob=" + "A" * 23])
def test_a_cookie_that_is_none_of_ours_is_replaced(memcached: str, cookie: str) -> None:
    async def scene(h: House) -> None:
        own = cookies(await h.get(pixel(), cookie=cookie))["ob"]
        assert len(own) == 22
        assert own not in cookie

    play(memcached, scene)


@pytest.mark.parametrize(
    "path",
    [
        "/visit/acme/s-shoes",
        "/visit/acme/s-shoes?sig=",
        f"/visit/acme/s-shoes?sig={signature(SECRET, 'acme', 's-hats')}",
        f"/visit/other/s-shoes?sig={signature(SECRET, 'acme', 's-shoes')}",
        f"/visit/acme/s-shoes?sig={signature(bytes(32), 'acme', 's-shoes')}",
        f"/visit/acme/s-shoes?sig=%C3%A9{signature(SECRET, 'acme', 's-shoes')}",
        f"/visit/acme/shoes?sig={signature(SECRET, 'acme', 'shoes')}",
        f"/visit/acme/s-{'x' * 15}?sig={signature(SECRET, 'acme', 's-' + 'x' * 15)}",
        f"/visit/a%20b/s-a?sig={signature(SECRET, 'a b', 's-a')}",
    ],
)
def test_a_pixel_that_is_not_signed_sets_nothing(memcached: str, path: str) -> None:
    async def scene(h: House) -> None:
        answer = await h.get(path, cookie=f"ob={OWN}")
        assert (answer.code, answer.body, cookies(answer)) == (400, b"", {})
        assert h.learned == []

    play(memcached, scene)


REFUSALS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"gdpr": "1"}, {}),
    ({"gdpr": "1", "gdpr_consent": "damaged"}, {}),
    ({"gdpr": "1", "gdpr_consent": agreed(VENDOR + 1)}, {}),
    ({"gdpr_consent": agreed(VENDOR, consent=(2, 3, 4))}, {}),  # not purpose 1: no cookies
    ({"us_privacy": "1YYN"}, {}),
    ({"gpp_sid": "7"}, {}),
    ({"gpp": "damaged", "gpp_sid": "7"}, {}),
    ({}, {"Sec_GPC": "1"}),
]


@pytest.mark.parametrize(("arguments", "headers"), REFUSALS)
def test_without_consent_nothing_is_set_read_or_stored(
    memcached: str, arguments: dict[str, str], headers: dict[str, str]
) -> None:
    async def scene(h: House) -> None:
        answer = await h.get(pixel(**arguments), cookie=f"ob={OWN}", **headers)
        assert (answer.code, answer.body, cookies(answer)) == (200, PIXEL, {})
        query = "&".join(f"{name}={value}" for name, value in {"uid": "x-1", **arguments}.items())
        answer = await h.get(f"/match/openx?{query}", cookie=f"ob={OWN}", **headers)
        assert (answer.code, answer.body, cookies(answer)) == (204, b"", {})
        assert h.learned == []
        assert h.told == ["visit_without_consent", "match_without_consent"]

    play(memcached, scene)


def test_consent_of_the_person_opens_both_doors(memcached: str) -> None:
    async def scene(h: House) -> None:
        consent = {"gdpr": "1", "gdpr_consent": agreed(VENDOR)}
        assert "ob" in cookies(await h.get(pixel(**consent)))
        answer = await h.get(f"/match/openx?uid=u1&gdpr=1&gdpr_consent={agreed(VENDOR)}")
        assert (answer.code, "ob" in cookies(answer)) == (200, True)

    play(memcached, scene)


def test_a_matched_id_is_in_the_segments_of_before_and_of_later(memcached: str) -> None:
    async def scene(h: House) -> None:
        own = cookies(await h.get(pixel("s-first")))["ob"]
        answer = await h.get("/match/openx?uid=their-id", cookie=f"ob={own}")
        assert (answer.code, answer.body) == (200, PIXEL)
        theirs = h.people.digest(OF_USER_ID, EXCHANGES["openx"].key, "their-id")
        assert await h.of(theirs) == {"s-first"}
        await h.get(pixel("s-later"), cookie=f"ob={own}")
        assert await h.of(theirs) == {"s-first", "s-later"}
        other = h.people.digest(OF_USER_ID, EXCHANGES["pubmatic"].key, "their-id")
        assert await h.of(other) == set()

    play(memcached, scene)


def test_a_match_redirects_once_and_only_where_the_settings_say(memcached: str) -> None:
    async def scene(h: House) -> None:
        first = await h.get("/match/openx?url=https://evil.example/")
        assert (first.code, first.body) == (200, PIXEL)  # cookies may not work: not sent on yet
        own = cookies(first)["ob"]
        sent = await h.get("/match/openx?gdpr_consent=%26a%3Db&us_privacy=1NNN&gdpr=0", cookie=f"ob={own}")
        assert sent.code == 302
        assert sent.headers["Location"] == f"https://x.example/sync?id={own}&c=%26a%3Db"
        assert cookies(sent)["obh"] == "1"
        for path, cookie in (
            ("/match/openx", f"ob={own}; obh=1"),
            ("/match/openx?hop=1", f"ob={own}"),
            ("/match/openx?uid=u1", f"ob={own}"),
            ("/match/pubmatic", f"ob={own}"),
            ("/match/openx", ""),
        ):
            answer = await h.get(path, cookie=cookie)
            assert (answer.code, answer.body, "Location" in answer.headers) == (200, PIXEL, False), path

    play(memcached, scene)


@pytest.mark.parametrize("uid", ["", "0", "x" * 257, "%24%7BUID%7D", "%7Buid%7D", "%5BUID%5D", "a%20b", "a%00b"])
def test_an_id_that_is_nobodys_gets_nothing(memcached: str, uid: str) -> None:
    async def scene(h: House) -> None:
        answer = await h.get(f"/match/openx?uid={uid}", cookie=f"ob={OWN}")
        assert (answer.code, answer.body, cookies(answer)) == (204, b"", {})
        assert h.learned == []

    play(memcached, scene)


@pytest.mark.parametrize("name", ["nobody", "closed", "", "openx%2f"])
def test_an_exchange_that_is_not_served_is_not_found(memcached: str, name: str) -> None:
    async def scene(h: House) -> None:
        assert (await h.get(f"/match/{name}?uid=u1", cookie=f"ob={OWN}")).code == 404

    play(memcached, scene)


@pytest.mark.parametrize(("secure", "wanted"), [(True, {"Secure", "SameSite=None"}), (False, {"SameSite=Lax"})])
def test_cookies_are_for_other_sites_pages_where_browsers_allow_it(
    memcached: str, secure: bool, wanted: set[str]
) -> None:
    async def scene(h: House) -> None:
        (line,) = (await h.get(pixel())).headers.get_list("Set-Cookie")
        attributes = {part.strip() for part in line.split(";")[1:]}
        assert attributes == {"HttpOnly", "Max-Age=1000", "Path=/"} | wanted

    play(memcached, scene, secure=secure)


def test_a_store_that_is_away_costs_the_visitor_nothing(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        answer = await h.get(pixel())
        assert (answer.code, answer.body) == (200, PIXEL)
        assert h.people.counts["failed"] == 1
        assert h.learned == []

    play("127.0.0.1:1", scene)
