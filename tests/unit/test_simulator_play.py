"""A play from its first request to its last acknowledgement: what is counted is what the bidder saw."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bidder.simulator.courier import forge
from bidder.simulator.options import Options, PlayError
from bidder.simulator.play import bodies_of, play
from bidder.simulator.player import Player, Script
from bidder.simulator.printing import lines
from bidder.simulator.summary import Summary
from tests.small_bidder import CUT, SmallBidder, small_bidder

CHEAP, DEAR = 0.000_01, 900_000.0  # medians of competitors that never, or always, outbid us
PATIENT_MS = 60_000.0  # a deadline that a busy machine keeps
PLAIN = b'{"id":"r-1","at":1,"imp":[{"id":"1","banner":{},"bidfloor":0.5}]}'


def played(bodies: list[bytes], faults: list[int] | None = None, **changes: Any) -> tuple[Summary, SmallBidder]:
    """Every body once, as fast as the rate says."""

    async def scene() -> tuple[Summary, SmallBidder]:
        async with small_bidder() as bidder:
            bidder.faults += faults or []
            options = {
                "rate": 2000.0,
                "requests": len(bodies),
                "win_median_cpm": CHEAP,
                "rendered": 1.0,
                "deadline_ms": PATIENT_MS,
                **changes,
            }
            player = Player(Options(url=bidder.url, **options), Script(bodies, 0, 1))
            await player.open()
            return await asyncio.wait_for(player.run(), 30), bidder

    return asyncio.run(scene())


def counts(bidder: SmallBidder) -> dict[str, int]:
    """Distinct notices by kind."""
    return {kind: len(tokens) for kind, tokens in bidder.seen.items()}


def test_a_won_auction_is_told_shown_billed_and_clicked() -> None:
    summary, bidder = played([PLAIN] * 40, click_rate=1.0)
    assert counts(bidder) == {"win": 40, "bill": 40, "imp": 40, "click": 40}
    assert set(bidder.prices.values()) == {"2.5"}
    document = summary.document()
    expected = {"requests": 40, "bids": 40, "wins": 40, "impressions": 40, "clicks": 40, "spend_nano_usd": 100_000_000}
    assert {name: document[name] for name in expected} == expected
    assert document["campaigns"] == {"c-1": {name: n for name, n in expected.items() if name != "requests"}}
    assert (document["status"], document["errors"], summary.clean) == ({"200": 40}, 0, True)


def test_a_lost_auction_is_told_with_its_reason() -> None:
    summary, bidder = played([PLAIN] * 10, win_median_cpm=DEAR)
    assert (counts(bidder), bidder.loss_reasons) == ({"loss": 10}, {"102": 10})
    assert (summary.losses, summary.real.total().wins) == ({"102": 10}, 0)


def test_a_win_that_no_page_shows_is_not_billed() -> None:
    summary, bidder = played([PLAIN] * 10, rendered=0.0, click_rate=1.0)
    assert counts(bidder) == {"win": 10}
    assert summary.real.total().spend_nano_usd == 0


def test_answers_are_counted_by_status_and_malformed_bodies_are_sent_as_they_are() -> None:
    bodies = [PLAIN, b"{oops", b'{"id":"2","imp":[]}']
    summary, bidder = played(bodies)
    assert sorted(bidder.requests) == sorted(bodies)
    assert summary.real.status == {200: 1, 400: 1, 204: 1}
    assert summary.real.requests == 3


def test_test_requests_are_kept_apart() -> None:
    test = PLAIN.replace(b'"at":1', b'"at":1,"test":1')
    summary, bidder = played([PLAIN, test, test])
    assert counts(bidder)["bill"] == 3
    document = summary.document()
    assert (document["requests"], document["wins"], document["spend_nano_usd"]) == (1, 1, 2_500_000)
    assert (document["test"]["requests"], document["test"]["wins"]) == (2, 2)
    assert document["campaigns"]["c-1"]["wins"] == 1


def test_notices_are_sent_again_until_they_are_acknowledged() -> None:
    summary, bidder = played([PLAIN] * 5, faults=[503, CUT, 503, 429, CUT])
    assert counts(bidder) == {"win": 5, "bill": 5, "imp": 5}
    assert (summary.notices.repeated, summary.notices.acknowledged, summary.notices.untold) == (5, 15, 0)


def test_a_genuine_notice_that_is_refused_is_not_clean() -> None:
    summary, _ = played([PLAIN], faults=[404], click_rate=0.0)
    assert summary.notices.refused == {"nurl 404": 1}
    assert not summary.clean


def test_duplicates_arrive_twice_and_are_counted_once() -> None:
    summary, bidder = played([PLAIN] * 10, duplicates=1.0)
    assert {n for tokens in bidder.seen.values() for n in tokens.values()} == {2}
    assert summary.notices.duplicates == 30
    assert summary.real.total().spend_nano_usd == 25_000_000


def test_late_bills_come_late() -> None:
    summary, bidder = played([PLAIN] * 3, late=1.0, late_s=0.2)
    assert (counts(bidder)["bill"], summary.notices.late) == (3, 3)


def test_forgeries_must_be_refused() -> None:
    summary, bidder = played([PLAIN] * 10, forged=1.0)
    assert (summary.notices.forged, bidder.forged, summary.notices.forged_taken) == (30, 30, 0)
    assert summary.clean


def test_answers_are_held_against_the_linter() -> None:
    summary, _ = played(
        [PLAIN, PLAIN.replace(b'"banner":{}', b'"banner":{"btype":[3]},"secure":1'), b"{oops"], rate=500.0
    )
    document = summary.document()
    assert document["linted"] == 3
    assert document["violations"] == {"secure_markup": 1}  # its click and pixel are http
    assert document["warnings"] == {"secure_notice": 3}
    assert not summary.clean
    assert "violations   secure_markup: 1" in lines(summary)


def test_the_linter_judges_a_sample_where_there_are_too_many_answers() -> None:
    assert played([PLAIN] * 50, rate=2000.0, lint_per_s=200)[0].linted == 5
    assert played([PLAIN] * 50, rate=2000.0, lint_per_s=0)[0].linted == 0


def test_a_forgery_differs_in_the_token_only() -> None:
    genuine = "http://127.0.0.1:1/imp/abcdefghij?price=1.25"
    assert forge(genuine) == "http://127.0.0.1:1/imp/abcdeAghij?price=1.25"
    assert forge("http://127.0.0.1:1/abc?price=1.234567890") == "http://127.0.0.1:1/aAc?price=1.234567890"
    assert forge("http://127.0.0.1:1/imp/AAAAAAAAAA") == "http://127.0.0.1:1/imp/AAAAABAAAA"


def test_the_same_seed_plays_the_same() -> None:
    bodies = [PLAIN.replace(b"r-1", b"r-%d" % n) for n in range(200)]
    first, second, other = (played(bodies, win_median_cpm=2.5, seed=seed)[0].document() for seed in (5, 5, 6))
    assert first["campaigns"] == second["campaigns"]
    assert first["campaigns"] != other["campaigns"]
    assert 0 < first["wins"] < 200


def test_an_answer_after_the_deadline_is_late_and_loses() -> None:
    async def scene() -> tuple[Summary, SmallBidder]:
        async with small_bidder() as bidder:
            bidder.open.clear()
            options = Options(
                url=bidder.url, requests=3, rate=5000, deadline_ms=20, win_median_cpm=CHEAP, connections=1
            )
            player = Player(options, Script([PLAIN], 0, 1))
            await player.open()
            playing = asyncio.create_task(player.run())
            while player.underway[0] < 3:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.03)  # the deadline passes
            bidder.open.set()
            return await playing, bidder

    summary, bidder = asyncio.run(scene())
    assert (summary.late, summary.losses, counts(bidder)) == (3, {"2": 3}, {"loss": 3})
    assert summary.latency.quantile_us(0.0) >= 20_000


@contextmanager
def bidder_in_a_thread() -> Iterator[SmallBidder]:
    """For plays that have processes of their own."""
    ready, ended = threading.Event(), threading.Event()
    found: list[SmallBidder] = []

    async def serve() -> None:
        async with small_bidder() as bidder:
            found.append(bidder)
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield found[0]
    finally:
        ended.set()
        thread.join()


def test_processes_share_the_requests_and_the_books_are_one(tmp_path: Path) -> None:
    bodies = [PLAIN.replace(b"r-1", b"r-%d" % n) for n in range(51)]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(b"\n".join(bodies) + b"\n")
    with bidder_in_a_thread() as bidder:
        options = Options(
            url=bidder.url, source=corpus, requests=51, rate=1000, processes=2, deadline_ms=PATIENT_MS, rendered=1.0
        )
        summary = play(options)
        assert sorted(bidder.requests) == sorted(bodies)
        assert summary.real.requests == 51
        assert summary.real.total().wins == counts(bidder).get("win", 0)
        assert summary.notices.acknowledged == sum(counts(bidder).values())
        assert json.loads(json.dumps(summary.document())) == summary.document()


def test_a_play_to_a_closed_door_says_so() -> None:
    with bidder_in_a_thread() as bidder:
        url = bidder.url
    with pytest.raises(PlayError, match="nobody listens at http"):
        play(Options(url=url, requests=1))


def test_only_newlines_end_a_line_of_a_corpus(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(b'{"a":"\xe2\x80\xa8\x0b\r"}\n\n{"b":1}\n')
    assert bodies_of(Options(source=corpus)) == [b'{"a":"\xe2\x80\xa8\x0b\r"}', b"", b'{"b":1}']
    corpus.write_bytes(b"")
    with pytest.raises(PlayError, match="no bid request"):
        bodies_of(Options(source=corpus))
    with pytest.raises(PlayError, match=r"missing\.jsonl: No such file"):
        bodies_of(Options(source=tmp_path / "missing.jsonl"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"url": "http://192.0.2.1:8000"}, "--url"),
        ({"url": "https://127.0.0.1:8000"}, "--url"),
        ({"url": "http://bidder.example"}, "--url"),
        ({"exchange": "a/b"}, "--exchange"),
        ({"rate": 0}, "--rate"),
        ({"rate": float("nan")}, "--rate"),
        ({"seconds": 0}, "--seconds"),
        ({"requests": 0}, "--requests"),
        ({"requests": 1, "seconds": 1}, "--requests"),
        ({"click_rate": 1.5}, "--click-rate"),
        ({"forged": -0.1}, "--forged"),
        ({"processes": 0}, "--processes"),
        ({"win_median_cpm": 0}, "--win-median-cpm"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(PlayError, match=named):
        Options(**changes)
