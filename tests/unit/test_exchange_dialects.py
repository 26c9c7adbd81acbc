"""Dialects in the settings, and what each does to an answer."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bidder.openrtb.exchanges import DIALECTS, KEYS
from bidder.openrtb.rows import exchange_rows
from bidder.outcome import Reason
from bidder.settings import SHIPPED_EXCHANGES, Exchange, SettingsError, parse
from tests.worlds import NOW_S, PUBLIC_URL, World, banner, campaign, imp, request


def world(directory: Path, campaigns: list[dict[str, Any]], **changes: Any) -> World:
    """With one exchange, `openx`, of this row."""
    return World(directory, campaigns, exchanges={"openx": Exchange(key=2, **changes)})


def rows(document: Mapping[str, Any]) -> Mapping[str, Exchange]:
    return parse({"exchanges": document}, "test").exchanges


def test_keys_of_shipped_exchanges_are_those_that_tokens_and_rollups_have() -> None:
    assert list(KEYS.items())[:5] == [("generic", 1), ("openx", 2), ("pubmatic", 3), ("xandr", 4), ("google", 5)]
    assert list(KEYS.values()) == sorted(set(KEYS.values()))
    assert DIALECTS.keys() == KEYS.keys() == SHIPPED_EXCHANGES.keys()
    assert {name: row.key for name, row in SHIPPED_EXCHANGES.items()} == KEYS


def test_what_a_row_does_not_say_comes_from_its_dialect() -> None:
    found = rows({"ours": {"key": 20, "dialect": "applovin", "tmax_ms": 70}, "google": {"seat": "s"}})
    assert (found["ours"].response_bytes, found["ours"].gzip, found["ours"].tmax_ms) == (4096, True, 70)
    assert (found["google"].price, found["google"].seat, found["google"].key) == ("google", "s", 5)
    assert rows({"generic": {"dialect": "applovin"}})["generic"].response_bytes == 4096


def test_saved_settings_read_back_as_they_were() -> None:
    found = rows({"ours": {"key": 20, "dialect": "unity", "notices": ["burl"], "allow": ["10.0.0.0/8"]}})
    document = json.loads(json.dumps({name: vars_of(row) for name, row in found.items()}))
    assert rows(document) == found


def vars_of(row: Exchange) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*Exchange.__dataclass_fields__,)}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"dialect": "klingon"}, "dialect: 'klingon' is none of applovin, generic"),
        ({"notices": ["murl"]}, "notices: 'murl' is none of nurl, burl, lurl"),
        ({"notices": ["nurl"]}, "spend_on: 'billing' books nothing without burl"),
        ({"notices": [], "spend_on": "win"}, "books nothing without nurl"),
        ({"allow": ["10.0.0.300"]}, "allow: '10.0.0.300'"),
        ({"rate_per_s": -1}, "no limit negative"),
        ({"secret_header": "X-Key"}, "no secret_file"),
        ({"price": "rot13"}, "price: 'rot13' is none of"),
    ],
)
def test_a_row_that_does_not_go_together_is_refused_by_name(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=rf"exchanges\.generic.*{re.escape(reason)}"):
        rows({"generic": row})


def test_bids_carry_the_notices_that_the_exchange_calls_with_its_macro(tmp_path: Path) -> None:
    here = world(tmp_path, [campaign()], notices=("burl",), price_macro='${AUCTION_PRICE:"B64"}')
    (bid,) = here.ask(request()).bids
    assert not bid.keys() & {"nurl", "lurl"}
    assert re.fullmatch(rf'{PUBLIC_URL}/bill/[\w-]{{124}}\?price=\$\{{AUCTION_PRICE:"B64"\}}', bid["burl"])
    assert "?price" not in bid["adm"]


def test_a_bid_may_have_no_notice_where_the_pixel_is_money(tmp_path: Path) -> None:
    here = world(tmp_path, [campaign()], notices=(), spend_on="impression", price_macro="%%WINNING_PRICE%%")
    (bid,) = here.ask(request()).bids
    assert not bid.keys() & {"nurl", "burl", "lurl"}
    assert re.search(rf'src="{PUBLIC_URL}/imp/[\w-]{{124}}\?price=%%WINNING_PRICE%%"', bid["adm"])


def test_a_notice_url_longer_than_the_exchange_takes_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"exchanges.openx: lurl would have \d+ characters, 180 at most"):
        exchange_rows({"openx": Exchange(key=2, notice_url_chars=180)}, PUBLIC_URL)


LONG = banner(adm="x" * 3_600)


def test_a_bid_too_long_for_the_exchange_leaves_the_imp_to_the_next(tmp_path: Path) -> None:
    dear, cheap = campaign("dear", "5", creatives=[LONG]), campaign("cheap", "1")
    here = world(tmp_path, [dear, cheap], response_bytes=4_096)
    answer = here.ask(request())
    assert [bid["cid"] for bid in answer.bids] == ["cheap"]
    assert len(answer.body) <= 4_096
    assert [bid["cid"] for bid in World(tmp_path / "any", [dear, cheap]).ask(request()).bids] == ["dear"]


def test_a_campaign_is_served_by_those_of_its_creatives_that_fit(tmp_path: Path) -> None:
    both = campaign(creatives=[LONG | {"id": "long"}, banner(id="short")])
    here = world(tmp_path, [both], response_bytes=4_096)
    assert {here.ask(request(id=f"r-{n}")).bids[0]["crid"] for n in range(20)} == {"short"}


def test_a_request_whose_bids_are_all_too_long_says_so(tmp_path: Path) -> None:
    here = world(tmp_path, [campaign(creatives=[LONG])], response_bytes=4_096)
    assert here.ask(request()).reason == Reason.RESPONSE_SIZE
    assert here.left("c-1") == 1_000_000_000


@pytest.mark.parametrize("deal", ["", "d-1", 'd"\\é' * 3])
def test_the_limit_is_kept_to_the_byte_and_little_is_left_unused(tmp_path: Path, deal: str) -> None:
    targeting = {"deal": {"include": [deal]}} if deal else {}
    one = imp("i" * 40, **({"pmp": {"deals": [{"id": deal}]}} if deal else {}))
    whole = len(world(tmp_path / "any", [campaign(targeting=targeting)]).ask(request([one])).body)
    fits = world(tmp_path / "fits", [campaign(targeting=targeting)], response_bytes=whole + 25)
    assert len(fits.ask(request([one])).body) == whole
    short = world(tmp_path / "short", [campaign(targeting=targeting)], response_bytes=whole - 1)
    assert short.ask(request([one])).status == 204


def test_as_many_imps_are_bid_on_as_the_answer_has_room_for(tmp_path: Path) -> None:
    here = world(tmp_path, [campaign()], response_bytes=4_096)
    answer = here.ask(request([imp(str(n)) for n in range(9)]))
    assert 2 <= len(answer.bids) < 9
    assert len(answer.body) <= 4_096 < len(answer.body) * (1 + 1 / len(answer.bids))


@pytest.mark.parametrize(
    ("campaigns", "changes", "nbr"),
    [
        ([campaign(cpm="0.1")], {}, 0),
        ([campaign(frequency=[{"impressions": 1, "per_s": 60}])], {"user": {"id": "u"}}, 9),
    ],
)
def test_an_exchange_that_wants_reasons_gets_them(
    tmp_path: Path, campaigns: list[dict[str, Any]], changes: dict[str, Any], nbr: int
) -> None:
    here = world(tmp_path, campaigns, no_bid="nbr")
    body = request([imp(bidfloor=1)], id='r "1"', **changes)
    here.ask(body)
    answer = here.ask(body)
    assert (answer.status, json.loads(answer.body)) == (200, {"id": 'r "1"', "nbr": nbr})
    assert answer.reason in (Reason.FLOOR, Reason.FREQUENCY)


def test_reasons_of_ours_and_of_the_request_have_numbers_of_their_own(tmp_path: Path) -> None:
    here = World(tmp_path, [], book=False, exchanges={"openx": Exchange(key=2, no_bid="nbr")})
    assert json.loads(here.ask(request()).body) == {"id": "r-1", "nbr": 1}
    here = world(tmp_path / "book", [campaign()], no_bid="nbr")
    assert json.loads(here.ask(request([{"banner": {}}])).body)["nbr"] == 2


def test_what_was_not_read_gets_the_plain_no_bid_of_any_exchange(tmp_path: Path) -> None:
    here = world(tmp_path, [campaign()], no_bid="nbr")
    here.ask(request(id="earlier"))
    here.board.off = True
    assert (here.ask(request()).status, here.ask(request()).body) == (204, b"")
    assert (here.ask(b"{").status, here.ask(b"[1]").status) == (204, 204)
    here.board.off = False
    assert (here.ask(b"{").status, here.ask(b'{"imp":[{"id":"1"}]}').status) == (400, 204)


def test_a_rate_cap_reads_so_many_requests_a_second_and_no_more(tmp_path: Path) -> None:
    here = world(tmp_path, [campaign()], rate_per_s=100)
    read = 0
    for tick in range(1_000):  # a thousand requests in a second
        here.clock.monotonic += 1_000_000
        read += here.ask(request(id=str(tick))).status == 200
    assert 100 <= read <= 100 + 11  # what was due within the last tenth of a second may come at once
    answer = here.ask(request())
    assert (answer.status, answer.reason) == (204, Reason.RATE)
    here.clock.monotonic += 1_000_000_000
    assert here.ask(request()).status == 200


def test_a_rate_cap_is_one_for_all_workers_of_a_host(tmp_path: Path) -> None:
    here = world(tmp_path, [campaign()], rate_per_s=100)
    other = world(tmp_path, [campaign()], rate_per_s=100)
    both = [one.ask(request()).status for _ in range(50) for one in (here, other)]
    assert both.count(200) == 11
    assert NOW_S  # their clocks stand still


def test_a_cap_of_an_earlier_boot_stops_nobody(tmp_path: Path) -> None:
    late = world(tmp_path, [campaign()], rate_per_s=100)
    late.clock.monotonic += 3_600 * 1_000_000_000
    assert late.ask(request()).status == 200
    assert world(tmp_path, [campaign()], rate_per_s=100).ask(request()).status == 200
