"""What can be asked of a report, and how it is printed; without a database."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from reporting.printing import render, with_dollars
from reporting.queries import Question, ReportError, build, dimensions, filters, moment, more_figures, zone

NOW = datetime(2026, 3, 29, 12, 34, 56, tzinfo=UTC)


def test_spend_is_by_campaign_unless_asked_otherwise() -> None:
    assert dimensions("spend", None) == ("campaign",)
    assert dimensions("spend", "exchange, day") == ("exchange", "day")
    assert dimensions("spend", "total") == ()


def test_bundle_and_domain_are_the_inventory() -> None:
    sql, _ = build(Question("delivery", dimensions("delivery", "bundle"), NOW, None))
    assert sql.startswith("SELECT inventory AS bundle, ")


@pytest.mark.parametrize(
    ("kind", "text", "complaint"),
    [
        ("spend", "colour", "'colour' is no dimension of spend; there are advertiser, arm,"),
        ("spend", "reason", "'reason' is no dimension of spend"),
        ("nobids", "campaign", "'campaign' is no dimension of nobids; there are arm, country,"),
        ("spend", "bundle,domain", "the same dimension twice"),
        ("spend", "", "'' is no dimension"),
    ],
)
def test_a_dimension_that_is_not_there_is_refused_by_name(kind: str, text: str, complaint: str) -> None:
    with pytest.raises(ReportError, match=complaint):
        dimensions(kind, text)


def test_more_figures_are_given_where_they_are_asked_for() -> None:
    more = more_figures("spend", "viewable, completes,viewable")
    assert more == ("viewable", "completes")
    sql, _ = build(Question("spend", (), NOW, None, more=more))
    usual, _ = build(Question("spend", (), NOW, None))
    assert "AS viewable, coalesce(sum(completes), 0)::bigint AS completes" in sql
    assert "viewable" not in usual
    assert more_figures("delivery", None) == ()
    for kind, text in (("spend", "wins"), ("nobids", "viewable"), ("delivery", "colour")):
        with pytest.raises(ReportError, match=f"--with {text}: no figure of {kind}; there are"):
            more_figures(kind, text)


def test_filters_of_one_dimension_are_alternatives() -> None:
    assert filters("spend", ["campaign=c-1", "campaign=c-2", "country=usa"]) == {
        "campaign": ["c-1", "c-2"],
        "country": ["USA"],
    }


@pytest.mark.parametrize("text", ["campaign", "campaign=", "colour=red", "day=2026-01-01"])
def test_a_filter_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ReportError):
        filters("spend", [text])


def test_values_never_become_sql() -> None:
    wicked = "'; DROP TABLE config.campaign; --"
    sql, parameters = build(Question("spend", ("campaign",), NOW, None, where={"campaign": [wicked]}))
    assert wicked not in sql
    assert parameters["campaign"] == [wicked]


def test_since_is_a_span_or_a_time_of_the_zone() -> None:
    assert moment("--since", "90m", NOW, "UTC") == datetime(2026, 3, 29, 11, 4, 56, tzinfo=UTC)
    assert moment("--since", "2026-03-29", NOW, "Europe/Madrid") == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert moment("--since", "2026-03-29T10:00Z", NOW, "Europe/Madrid") == datetime(2026, 3, 29, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "5", "-2h", "999999999999d", ""])
def test_a_time_that_is_none_is_refused_with_its_option(text: str) -> None:
    with pytest.raises(ReportError, match=f"--since {text}"):
        moment("--since", text, NOW, "UTC")


def test_since_is_rounded_down_to_its_minute() -> None:
    _, parameters = build(Question("spend", (), NOW, None))
    assert parameters["since"] == datetime(2026, 3, 29, 12, 34, tzinfo=UTC)


def test_a_zone_that_is_none_is_refused() -> None:
    assert zone("Asia/Kolkata") == "Asia/Kolkata"
    for text in ("Mars/Olympus", "", "/etc/passwd"):
        with pytest.raises(ReportError, match="no such time zone"):
            zone(text)


COLUMNS = ["campaign", "minute", "bids", "spend_nano_usd"]
ROWS = [("c-1", datetime(2026, 3, 29, 12, 34, tzinfo=UTC), 1234567, 2_500_000_001), (None, None, 0, 0)]


def test_json_is_a_list_of_objects_with_exact_money_twice() -> None:
    assert json.loads(render(*with_dollars(COLUMNS, ROWS), "json", "Europe/Madrid")) == [
        {
            "campaign": "c-1",
            "minute": "2026-03-29T14:34:00+02:00",
            "bids": 1234567,
            "spend_nano_usd": 2_500_000_001,
            "spend_usd": "2.500000001",
        },
        {"campaign": None, "minute": None, "bids": 0, "spend_nano_usd": 0, "spend_usd": "0.000000000"},
    ]


def test_csv_has_a_head_and_plain_numbers() -> None:
    assert render(*with_dollars(COLUMNS, ROWS), "csv").splitlines() == [
        "campaign,minute,bids,spend_nano_usd,spend_usd",
        "c-1,2026-03-29T12:34:00+00:00,1234567,2500000001,2.500000001",
        ",,0,0,0.000000000",
    ]


def test_a_table_is_aligned_and_shows_dollars_once() -> None:
    assert render(*with_dollars(COLUMNS, ROWS), "table").splitlines() == [
        "campaign  minute                      bids    spend_usd",
        "--------  ---------------------  ---------  -----------",
        "c-1       2026-03-29 12:34+0000  1,234,567  2.500000001",
        "-         -                              0  0.000000000",
    ]


def test_a_report_without_rows_still_has_its_head() -> None:
    assert render(["campaign", "bids"], [], "table").splitlines() == ["campaign  bids", "--------  ----"]
    assert render(["campaign", "bids"], [], "json") == "[]"
    assert render(["campaign", "bids"], [], "csv") == "campaign,bids"


def test_dates_and_decimals_are_exact_text() -> None:
    row = (date(2026, 3, 29), Decimal("1.000000001"))
    assert json.loads(render(["day", "x"], [row], "json")) == [{"day": "2026-03-29", "x": "1.000000001"}]
