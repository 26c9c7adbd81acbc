"""Small parts of the simulated exchange: addresses, pages, latencies, books side by side, what people see."""

import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.simulator import agreement, page
from bidder.simulator.demo import DemoError, erase, stop_earlier
from bidder.simulator.latency import Latency, bucket_of, top_of
from bidder.simulator.loopback import Address, address_of
from bidder.simulator.printing import Ticker, lines, progress_line
from bidder.simulator.summary import Summary, Tally


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8001/win/t?p=1#x", Address("127.0.0.1", 8001, "/win/t?p=1")),
        ("http://127.8.0.1", Address("127.8.0.1", 80, "/")),
        ("http://localhost:9?a=1", Address("127.0.0.1", 9, "/?a=1")),
        ("http://[::1]:9/", Address("::1", 9, "/")),
        ("http://127.0.0.1.nip.example/", None),
        ("http://cdn.acme.example/a.png", None),
        ("http://127.0.0.1@192.0.2.1/", None),
        ("http://192.0.2.1:80/", None),
        ("https://127.0.0.1/", None),
        ("//127.0.0.1/", None),
        ("http://127.0.0.1:0/", None),
        ("http://127.0.0.1:65536/", None),
        ("http://127.0.0.1/a b", None),
        ("http://127.0.0.1/\r\nHost: x", None),
        ("", None),
    ],
)
def test_only_this_machine_has_an_address(url: str, address: Address | None) -> None:
    assert address_of(url) == address


def test_a_page_has_images_and_links_in_order_also_of_broken_markup() -> None:
    adm = '<div><A HREF="http://x/?a=1&amp;b=2"><img src=one.png><img alt=none></a><img src="two.png" <a href=last'
    assert page.read(adm + ">") == page.Page(("one.png", "two.png"), ("http://x/?a=1&b=2",))
    assert page.read("plain <") == page.Page((), ())


def test_a_player_tells_of_impression_and_play_and_has_one_place_to_click() -> None:
    adm = (
        '<VAST version="4.2" xmlns="http://www.iab.com/VAST"><Ad><InLine><Impression><![CDATA[http://x/i?a=1&b=2]]>'
        '</Impression><Creatives><Creative><Linear><TrackingEvents><Tracking event="start">http://x/s</Tracking>'
        '<Tracking event="skip">http://x/skip</Tracking></TrackingEvents><VideoClicks><ClickThrough> http://x/c'
        "</ClickThrough></VideoClicks></Linear></Creative></Creatives></InLine></Ad></VAST>"
    )
    assert page.read(adm) == page.Page(("http://x/i?a=1&b=2", "http://x/s"), ("http://x/c",))
    assert page.read(adm[:-1]) == page.Page((), ())


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_native_placement_loads_trackers_and_images(wrapped: bool) -> None:
    answer: dict[str, Any] = {
        "assets": [{"id": 1, "title": {"text": "t"}}, {"id": 2, "img": {"url": "http://x/m.png"}}],
        "link": {"url": "http://x/c"},
        "imptrackers": ["http://x/i"],
        "eventtrackers": [
            {"event": 1, "method": 1, "url": "http://x/e"},
            {"event": 2, "method": 1, "url": "http://x/v"},
            {"event": 3, "method": 1, "url": "http://x/never"},
            {"event": 1, "method": 2, "url": "http://x/e.js"},
        ],
    }
    found = page.read(json.dumps({"native": answer} if wrapped else answer))
    assert found == page.Page(("http://x/i", "http://x/e", "http://x/v", "http://x/m.png"), ("http://x/c",))


@pytest.mark.parametrize("adm", ["{", "{}", '{"native":1}', '{"link":{"url":"x"},"assets":[1]}', '{"link":{}}'])
def test_a_native_answer_that_is_none_shows_nothing(adm: str) -> None:
    assert page.read(adm) == page.Page((), ())


@given(st.integers(0, 2**40))
def test_buckets_hold_their_values_within_three_percent(us: int) -> None:
    top = top_of(bucket_of(us))
    assert us <= top <= us + us // 32
    assert bucket_of(top) == bucket_of(us)
    assert bucket_of(top + 1) == bucket_of(us) + 1


@given(st.lists(st.integers(0, 10**7), min_size=1), st.lists(st.integers(0, 10**7)), st.sampled_from([0.5, 0.9, 0.999]))
def test_quantiles_of_merged_latencies_are_those_of_all_values(a: list[int], b: list[int], q: float) -> None:
    whole, part = Latency(), Latency()
    for us in a:
        whole.add(us)
    for us in b:
        part.add(us)
    whole.merge(part)
    values = sorted(a + b)
    rank = next(n for n in range(1, len(values) + 1) if n >= q * len(values))
    exact = values[rank - 1]
    assert exact <= whole.quantile_us(q) <= exact + exact // 32
    assert (whole.n, whole.max_us, whole.total_us) == (len(values), values[-1], sum(values))


def test_without_answers_there_are_no_latencies() -> None:
    assert set(Latency().document().values()) == {0.0}


def summary_of(seed: int) -> Summary:
    dice = random.Random(seed)
    made = Summary(sent=dice.randrange(100), errors=Counter(closed=dice.randrange(3)), seconds=dice.random())
    for name in "ab":
        made.real.campaigns[f"c-{name}{dice.randrange(2)}"] = Tally(*(dice.randrange(50) for _ in range(5)))
    made.real.status.update({200: dice.randrange(9), 204: 1, 404: 1})
    made.notices.sent = dice.randrange(50)
    made.notices.refused["burl 400"] += 1
    made.latency.add(dice.randrange(10_000))
    return made


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_merged_summaries_add_up(one: int, two: int) -> None:
    whole, a, b = summary_of(one), summary_of(one), summary_of(two)
    whole.merge(b)
    for figure in ("requests", "bids", "wins", "impressions", "clicks", "spend_nano_usd", "sent", "errors"):
        assert whole.document()[figure] == a.document()[figure] + b.document()[figure]
    assert whole.seconds == max(a.seconds, b.seconds)
    assert whole.notices.untold == 2


def test_requests_are_answers_that_the_bidder_counts_too() -> None:
    made = Summary()
    made.real.status.update({200: 1, 204: 2, 400: 3, 404: 4, 503: 5})
    assert made.document()["requests"] == 6


def books() -> tuple[Summary, list[dict[str, object]], list[dict[str, object]]]:
    made = Summary()
    made.real.status[200] = 3
    made.real.campaigns["c-1"] = Tally(3, 2, 2, 1, 7)
    figures = {"requests": 3, "bids": 3, "wins": 2, "impressions": 2, "clicks": 1, "spend_nano_usd": 7}
    return made, [dict(figures)], [{"campaign": "c-1", **figures, "requests": 0}]


def test_books_that_are_equal_agree() -> None:
    made, delivery, spend = books()
    found = [*agreement.totals(made.document(), delivery), *agreement.campaigns(made.document(), spend)]
    assert len(found) == 11
    assert all(line.agrees for line in found)


def test_one_nano_usd_more_and_a_campaign_that_only_one_side_knows_are_differences() -> None:
    made, delivery, spend = books()
    delivery[0]["spend_nano_usd"] = 8
    spend.append({"campaign": "c-2", "bids": 1, "wins": 0, "impressions": 0, "clicks": 0, "spend_nano_usd": 0})
    found = [*agreement.totals(made.document(), delivery), *agreement.campaigns(made.document(), spend)]
    apart = [line for line in found if not line.agrees]
    assert [(line.campaign, line.figure) for line in apart] == [("", "spend_nano_usd"), ("c-2", "bids")]
    assert "DIFFER by +1" in agreement.table(apart)[1]
    assert not all(line.agrees for line in agreement.totals(made.document(), []))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_terminals_only() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        with Ticker(stream) as ticker:
            ticker.show(summary_of(1), (2, 3))
    assert "under way: 2 + 3 notices" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")
    assert file.getvalue() == ""


def test_what_went_wrong_is_in_the_text() -> None:
    made = summary_of(1)
    made.errors["closed"], made.late, made.notices.forged_taken = 2, 4, 1
    made.notices.forged, made.closed_connections = 1, 2
    made.test.status[204] = 5
    text = "\n".join(lines(made))
    for wanted in (
        "closed: 2",
        "burl 400: 1",
        "after the deadline: 4",
        "believed: 1",
        "connections: 2",
        "5 requests, 0",
    ):
        assert wanted in text
    assert "2 errors" in progress_line(made, (0, 0))
    assert json.dumps(made.document())


def test_the_demo_removes_only_state_directories(tmp_path: Path) -> None:
    other = tmp_path / "photos"
    other.mkdir()
    (other / "one.png").touch()
    with pytest.raises(DemoError, match="no state directory"):
        erase(other)
    assert (other / "one.png").exists()
    state = tmp_path / "state"
    (state / "log").mkdir(parents=True)
    stop_earlier(state)
    erase(state)
    assert not state.exists()
    erase(state)
