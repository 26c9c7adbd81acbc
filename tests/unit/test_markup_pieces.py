"""Markup: the pieces of a bid object, and what they become when the places are filled."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bidder.openrtb.markup import variants
from bidder.openrtb.rows import exchange_rows
from bidder.openrtb.variant import CreativeFlag, Piece
from bidder.settings import SHIPPED_EXCHANGES

CAMPAIGN = {"id": "c-1001"}
HTTPS = "https://t.example"
FILL = {
    Piece.BID_ID: b"0123456789abcdef01234567",
    Piece.IMP_ID: b"imp-1",
    Piece.PRICE: b"2.4",
    Piece.PAGE_TOKEN: b"P" * 124,
    Piece.DEAL: b',"dealid":"d-7"',
    Piece.PIXEL_PRICE: b"",
}


def banner(**changes: Any) -> dict[str, Any]:
    base = {"id": "cr-1", "type": "banner", "w": 320, "h": 50, "adm": '<a href="{click_url}">x</a>{pixel}'}
    return base | changes


def pieces(creative: dict[str, Any], url: str = HTTPS) -> list[tuple[int, bytes]]:
    (one,) = variants(CAMPAIGN, creative, url)
    return one.pieces


def filled(creative: dict[str, Any], url: str = HTTPS) -> Any:
    (row, *_) = exchange_rows(SHIPPED_EXCHANGES, url)
    fill = FILL | {Piece.NOTICES: (b"N" * 124).join(row.notices)}
    return json.loads(b"".join(text or fill[Piece(kind)] for kind, text in pieces(creative, url)))


def test_a_full_creative_becomes_a_whole_bid_object() -> None:
    creative = banner(
        adomain=["acme.example"],
        cat=["IAB3"],
        attr=[1, 2],
        api=[5],
        language="en",
        crid="acme-1",
        landing_url="https://x",
    )
    notice = "N" * 124
    assert filled(creative) == {
        "id": "0123456789abcdef01234567",
        "impid": "imp-1",
        "price": 2.4,
        "nurl": f"{HTTPS}/win/{notice}?price=${{AUCTION_PRICE}}&min=${{AUCTION_MIN_TO_WIN}}",
        "burl": f"{HTTPS}/bill/{notice}?price=${{AUCTION_PRICE}}",
        "lurl": f"{HTTPS}/loss/{notice}?reason=${{AUCTION_LOSS}}&price=${{AUCTION_PRICE}}&min=${{AUCTION_MIN_TO_WIN}}",
        "adm": f'<a href="{HTTPS}/click/{"P" * 124}">x</a>'
        f'<img src="{HTTPS}/imp/{"P" * 124}" width="1" height="1" alt="" style="display:none">',
        "adomain": ["acme.example"],
        "cid": "c-1001",
        "crid": "acme-1",
        "cat": ["IAB3"],
        "attr": [1, 2],
        "api": 5,
        "language": "en",
        "w": 320,
        "h": 50,
        "mtype": 1,
        "dealid": "d-7",
    }


def test_what_a_creative_lacks_is_left_out_and_crid_falls_to_its_id() -> None:
    bid = filled(banner(adomain=[], attr=[]))
    assert not bid.keys() & {"adomain", "cat", "attr", "api", "apis", "language"}
    assert bid["crid"] == "cr-1"


def test_several_frameworks_are_a_list() -> None:
    bid = filled(banner(api=[3, 5]))
    assert bid["apis"] == [3, 5]
    assert "api" not in bid


def test_the_app_that_a_creative_promotes_is_named() -> None:
    assert filled(banner(bundle="com.acme.app"))["bundle"] == "com.acme.app"


@pytest.mark.parametrize(
    ("api", "expected"), [(None, (3,)), ([7], (3, 7)), ([5], (5,)), ([6, 3], (6, 3))]
)  # AdCOM: 3, 5, 6 are MRAID 1, 2, 3; 7 is OMID
def test_markup_that_loads_mraid_needs_a_framework_that_has_it(
    api: list[int] | None, expected: tuple[int, ...]
) -> None:
    (one,) = variants(CAMPAIGN, banner(adm="<script src='MRAID.js'></script>{pixel}", api=api), HTTPS)
    assert one.api == expected
    assert variants(CAMPAIGN, banner(api=api), HTTPS)[0].api == tuple(api or ())


def test_a_banner_is_one_variant_with_all_that_is_checked_of_it() -> None:
    (one,) = variants(CAMPAIGN, banner(attr=[4], expdir=[2, 4], api=[5]), HTTPS)
    assert (one.format, one.w, one.h, one.protocol, one.duration_s, one.assets) == (1, 320, 50, 0, 0, ())
    assert (one.attr, one.api, one.expdir) == ((4,), (5,), (2, 4))


def test_a_banner_without_a_pixel_gets_one_at_the_end() -> None:
    assert filled(banner(adm="<b>ad</b>"))["adm"].startswith(f'<b>ad</b><img src="{HTTPS}/imp/PPP')
    assert filled(banner(adm="{pixel}<b>ad</b>"))["adm"].endswith("<b>ad</b>")


@pytest.mark.parametrize("adm", ['"quoted" \\ back', "line\nfeed\ttab\x01", "ünï \u2028 😀", "{other} {{x}} </script>"])
def test_adm_comes_out_of_the_json_as_it_went_in(adm: str) -> None:
    assert filled(banner(adm=adm + "{pixel}!"))["adm"].startswith(adm + "<img")


def test_texts_are_merged_and_alternate_with_splices() -> None:
    kinds = [Piece(kind) for kind, _ in pieces(banner())]
    unparted = (Piece.NOTICES, Piece.PIXEL_PRICE)
    assert all(Piece.TEXT in pair or pair[1] in unparted for pair in pairwise(kinds))
    assert not any(a is b for a, b in pairwise(kinds))
    assert [kind for kind in kinds if kind is not Piece.TEXT] == [
        Piece.BID_ID,
        Piece.IMP_ID,
        Piece.PRICE,
        Piece.NOTICES,
        *[Piece.PAGE_TOKEN] * 2,
        Piece.PIXEL_PRICE,
        Piece.DEAL,
    ]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://t.example", "is wanted"),
        ("t.example", "is wanted"),
        ("https://t.example/?a=b", "is wanted"),
        ('https://t.example/"', "do not belong"),
        ("https://t.example/" + "x" * 320, "500 are safe"),
    ],
)
def test_a_public_url_that_notices_cannot_begin_with_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"tracking.public_url.*{reason}"):
        pieces(banner(), url)


def test_the_longest_public_url_keeps_the_loss_notice_within_500_characters() -> None:
    url = "https://t.example/" + "x" * 306
    assert len(filled(banner(), url)["lurl"]) == 500


@pytest.mark.parametrize(
    ("adm", "url", "expected"),
    [
        ("<b>ad</b>", HTTPS, CreativeFlag.SECURE),
        ("<b>ad</b>", "http://t.example", CreativeFlag.NONE),
        ("<SCRIPT src='//x'></SCRIPT>", HTTPS, CreativeFlag.SCRIPT | CreativeFlag.SECURE),
        ("<iFrame src='https://x'></iFrame>", HTTPS, CreativeFlag.IFRAME | CreativeFlag.SECURE),
        ("<img src='HTTP://x/a.png'>", HTTPS, CreativeFlag.NONE),
        ("<img src='https://x/?u=http%3A%2F%2Fy'>", HTTPS, CreativeFlag.NONE),
        (
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink='http://www.w3.org/1999/xlink'/>",
            HTTPS,
            CreativeFlag.SECURE,
        ),
        ('<svg xmlns="http://www.w3.org/2000/svg"><image href="http://x/a"/></svg>', HTTPS, CreativeFlag.NONE),
    ],
)
def test_flags_say_what_the_markup_holds(adm: str, url: str, expected: CreativeFlag) -> None:
    (one,) = variants(CAMPAIGN, banner(adm=adm), url)
    assert one.flags == expected


def test_numbers_of_pieces_and_flags_are_those_of_the_compiled_book() -> None:
    pxd = (Path(__file__).parents[2] / "bidder" / "_fast" / "book.pxd").read_text(encoding="utf-8")
    for prefix, members in (("PIECE", Piece), ("CREATIVE", CreativeFlag)):
        numbers = dict(re.findall(rf"^    {prefix}_(\w+) = (\d+)", pxd, re.MULTILINE))
        assert numbers == {name: str(int(m)) for name, m in members.__members__.items() if name != "NONE"}
