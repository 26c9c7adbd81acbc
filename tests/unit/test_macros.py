"""Macros: what they become in a page and in a URL, what is left alone, and what no exchange would fill."""

from itertools import pairwise
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.openrtb.macros import EXCHANGE, Part, Values, fill_html, fill_url, unknown
from bidder.openrtb.variant import Piece

VALUES = Values("https://t.example/x", "c 1", 'cr"1', "Acme & Söhne")
PIXEL = '<img src="https://t.example/x/imp/P" width="1" height="1" alt="" style="display:none">'
FILL = {Piece.PAGE_TOKEN: "P", Piece.BID_ID: "B", Piece.PIXEL_PRICE: ""}


def text(parts: list[Part]) -> str:
    return "".join(part if isinstance(part, str) else FILL[part] for part in parts)


@pytest.mark.parametrize(
    ("macro", "in_html", "in_url"),
    [
        ("{click_url}", "https://t.example/x/click/P", "https%3A%2F%2Ft.example%2Fx%2Fclick%2FP"),
        ("{click_url:url}", "https%3A%2F%2Ft.example%2Fx%2Fclick%2FP", "https%3A%2F%2Ft.example%2Fx%2Fclick%2FP"),
        ("{imp_url}", "https://t.example/x/imp/P", "https%3A%2F%2Ft.example%2Fx%2Fimp%2FP"),
        ("{imp_url:url}", "https%3A%2F%2Ft.example%2Fx%2Fimp%2FP", "https%3A%2F%2Ft.example%2Fx%2Fimp%2FP"),
        ("{view_url}", "https://t.example/x/view/P", "https%3A%2F%2Ft.example%2Fx%2Fview%2FP"),
        ("{view_url:url}", "https%3A%2F%2Ft.example%2Fx%2Fview%2FP", "https%3A%2F%2Ft.example%2Fx%2Fview%2FP"),
        ("{view_id}", "P", "P"),
        ("{pixel}", PIXEL, "{pixel}"),
        ("{tag}", '<script src="https://t.example/x/tag/P" async></script>', "{tag}"),
        ("{cachebuster}", "B", "B"),
        ("{campaign_id}", "c%201", "c%201"),
        ("{creative_id}", "cr%221", "cr%221"),
        ("{advertiser}", "Acme%20%26%20S%C3%B6hne", "Acme%20%26%20S%C3%B6hne"),
    ],
)
def test_a_macro_is_escaped_for_where_it_stands(macro: str, in_html: str, in_url: str) -> None:
    assert text(fill_html(f"a{macro}b{{pixel}}", VALUES)) == f"a{in_html}b{PIXEL}"
    assert text(fill_url(f"https://m.example/?q={macro}&r=1", VALUES)) == f"https://m.example/?q={in_url}&r=1"


@pytest.mark.parametrize(
    "left", ["{other}", "{{click_url}", "{click_url", "${click_url}", "{Click_URL}", "{cachebuster:url}", "{}",
             *[f"${{{name}}}" for name in EXCHANGE], "${AUCTION_PRICE:B64}", "%%CLICK%%", "[CACHEBUSTING]"],
)  # fmt: skip
def test_everything_else_in_braces_is_left_as_it_is(left: str) -> None:
    if left != "{{click_url}":
        assert text(fill_html(left + "{pixel}", VALUES)) == left + PIXEL
        assert text(fill_url(left, VALUES)) == left
    else:
        assert text(fill_url(left, VALUES)) == "{https%3A%2F%2Ft.example%2Fx%2Fclick%2FP"


@pytest.mark.parametrize("telling", ["{pixel}", "{tag}", "{imp_url}", "{imp_url:url}"])
def test_a_page_that_tells_of_its_impression_gets_no_second_pixel(telling: str) -> None:
    assert fill_html(telling + "<b>ad</b>", VALUES).count(Piece.PAGE_TOKEN) == 1
    assert text(fill_html("${imp_url}", VALUES)) == "${imp_url}" + PIXEL


def test_a_macro_that_no_exchange_fills_is_known() -> None:
    assert unknown("".join(f"${{{name}}} ${{{name}:B64}}" for name in EXCHANGE)) == []
    assert unknown("${AUCTION_PRIZE} {x} ${AUCTION_PRICE:B64} ${}") == ["AUCTION_PRIZE", ""]


@given(st.text(), st.text())
def test_ids_are_safe_anywhere_and_come_back(campaign: str, advertiser: str) -> None:
    values = Values("https://t.example", campaign, "cr", advertiser)
    found = text(fill_url("{campaign_id}|{advertiser}", values))
    assert not set(found) & set("\"'<>&\\ \n{}")
    assert [unquote(part) for part in found.split("|")] == [campaign, advertiser]


@given(st.lists(st.sampled_from(["{pixel}", "{click_url}", "{cachebuster}", "x", "]]>", "{a}"]), max_size=8))
def test_no_two_texts_follow_and_none_is_empty(words: list[str]) -> None:
    for parts in (fill_html("".join(words), VALUES), fill_url("".join(words), VALUES)):
        kinds = [isinstance(part, str) for part in parts]
        assert not any(a and b for a, b in pairwise(kinds))
        assert all(parts[n] for n, is_text in enumerate(kinds) if is_text)
