"""The page of `outbid status`: trouble on top, cut to the window."""

from typing import Any

from bidder.cli.status_page import fit, page, redraw, span

NOW = 10_000.0
LIVE = {
    "requests_per_s": 1_200.0,
    "bids_per_s": 300.0,
    "exchanges": {"openx": {"requests_per_s": 900.0, "bids_per_s": 1.0}, "xandr": {"requests_per_s": 300.0}},
    "nobid_reasons_per_s": {"FLOOR": 600.0, "PACED": 300.0},
    "latency_us": {"p50": 128, "p99": 2048},
    "spend_usd_per_s": 0.02,
}


def row(role: str, **changes: Any) -> dict[str, Any]:
    said = {"role": role, "pid": 7, "address": None, "build": "b1", "started": NOW - 200, "healthy": True}
    vitals = {"rss_bytes": 50 << 20, "lag_max_s": 0.002, "log": {"dropped": 0}}
    return said | {"vitals": vitals} | changes


def supervisor(**changes: Any) -> dict[str, Any]:
    return row("supervisor", **({"alerts": [], "live": LIVE, "canary": {}, "metrics": "http://x/metrics"} | changes))


def status(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"processes": list(rows)}


def test_a_healthy_host_is_its_figures_and_its_processes() -> None:
    lines = page(status(supervisor(), row("worker", book_revision=7, connections=12, arm=1)), NOW)
    assert lines[0] == (
        "bids       1,200 requests/s, 25.0% with a bid; p50 < 128 us, p99 < 2 ms; spending $1.20 a minute"
    )
    assert lines[1] == "no bid     FLOOR 67%, PACED 33%"
    assert lines[2] == "exchanges  openx 75%, xandr 25%"
    [worker] = [line for line in lines if line.startswith("worker")]
    assert worker.split() == [
        "worker",
        "arm",
        "1",
        "7",
        "yes",
        "3",
        "min",
        "50",
        "MB",
        "2.0",
        "ms",
        "ok",
        "12",
        "7",
        "b1",
    ]


def test_what_is_wrong_stands_on_top_with_what_to_do() -> None:
    alert = {"name": "BidsHeld", "severity": "page", "says": "no bids", "do": "look", "for_s": 130, "runbook": "r#b"}
    flips = [
        {"kind": "all", "name": "", "off": True, "at_ms": 9_000_000, "who": "ann"},
        {"kind": "exchange", "name": "openx", "off": True, "at_ms": 9_000_000, "who": "bob"},
        {"kind": "feature", "name": "video", "off": False, "at_ms": 9_000_000, "who": "bob"},
    ]
    switches = {"everything": True, "flips": flips, "refused": None}
    canary = {"plan": {"build": "b2"}, "phase": "running", "buckets": 100, "outcome": None}
    overrides = [{"file": "x.json", "campaign": "c", "error": "no price"}]
    troubled = supervisor(switches=switches, overrides=overrides, held="disk full", alerts=[alert], canary=canary)
    lines = page(status(troubled, row("tracker", healthy=False)), NOW)
    assert lines[:4] == [
        "!! BidsHeld, for 2 min: no bids",
        "   look (r#b)",
        "!! no bids: notices could not be acknowledged: disk full",
        "!! tracker 7 cannot do its job",
    ]
    off = [line for line in lines if line.startswith("off")]
    assert off == [
        "off        everything, since 1970-01-01 02:30:00 UTC by ann",
        "off        exchange openx, since 1970-01-01 02:30:00 UTC by bob",
    ]
    assert "override   x.json (c): refused: no price" in lines
    assert "canary     build b2 running, 1 % of the traffic" in lines


def test_a_host_without_a_supervisor_says_so_and_what_else_there_is() -> None:
    lines = page(status(row("tracker", vitals=None)), NOW)
    assert lines[0].startswith("!! no supervisor runs")
    assert lines[-1].split()[:5] == ["tracker", "7", "yes", "3", "min"]


def test_a_window_that_is_too_small_hides_the_rest_and_says_so() -> None:
    lines = fit(["one", "two", "a long line", "four", "five"], width=6, height=4)
    assert lines == ["one", "two", "a lon…", "... 2…"]
    assert fit(["one"], width=6, height=4) == ["one"]
    assert redraw(["a", "b"]) == "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"


def test_ages_are_said_as_people_say_them() -> None:
    assert [span(s) for s in (-1, 59, 119, 120, 7_199, 7_200, 200_000)] == [
        "0 s", "59 s", "119 s", "2 min", "120 min", "2 h", "2 d",
    ]  # fmt: skip
