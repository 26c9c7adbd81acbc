"""`outbid report` on facts that the aggregator wrote, to the last figure."""

import argparse
import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from aggregator.ledger import Batch, Ledger
from aggregator.migrate import migrate
from aggregator.postgres import Link
from aggregator.writer import Writer
from bidder.cli import context, report, sql
from bidder.cli.context import CliError
from bidder.events.schema import Deltas, Kind, Notice, NoticeKind, Row
from bidder.events.spool import Spool
from bidder.openrtb.codes import pack3
from bidder.ops.control import serve
from bidder.outcome import Reason
from bidder.settings import Settings
from tests.conftest import Databases

MINUTE = 29_573_280  # 2026-03-25 00:00 UTC
SINCE = ["--since", "2026-03-25", "--until", "2026-03-27"]
FIGURES = ("requests", "bids", "wins", "impressions", "clicks", "conversions", "spend_nano_usd")


def row(kind: Kind, n: int, **fields: int) -> Row:
    return Row(**(dict.fromkeys(Row.__struct_fields__, 0) | {"kind": kind, "n": n, "minute": MINUTE} | fields))


def notice(kind: NoticeKind, number: int, minute: int = MINUTE, **fields: Any) -> Notice:
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {"kind": kind, "received_ms": 1_774_400_000_000, "lease": 1}
    named = {"bid_id": minute.to_bytes(4, "big") + number.to_bytes(8, "big"), "taken": 900, "bid_price": 900}
    return Notice(**(numbers | named | fields))


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    """Two exchanges, two campaigns of one advertiser, one late evening bid."""
    made = databases.create()
    migrate(made)
    with closing(psycopg2.connect(made)) as db, db, db.cursor() as cursor:
        cursor.execute("INSERT INTO config.exchange VALUES (1, 'generic', 'billing'), (2, 'openx', 'win')")
        cursor.execute("INSERT INTO config.advertiser (id) VALUES ('acme')")
        cursor.execute(
            "INSERT INTO config.campaign (id, advertiser, status, body, revision, total_nano)"
            " VALUES ('c-1', 1, 'active', '{}', 1, 5000), ('c-2', 1, 'paused', '{}', 1, NULL)"
        )
        cursor.execute("INSERT INTO config.creative (campaign, id) VALUES (1, 'cr-1'), (2, 'cr-1')")
        cursor.execute("INSERT INTO config.term (kind, value) VALUES ('deal', 'd-7'), ('inventory', 'com.game')")
        cursor.execute(
            "INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
            " VALUES (1, 'h', now(), current_date, 2000, now(), now(), 1)"
        )
    link = Link(made, "test")
    of_c1 = {"exchange": 1, "campaign": 1, "creative": 1, "deal": 1, "format": 1, "w": 300, "h": 250}
    of_c2 = {"exchange": 2, "campaign": 2, "creative": 2, "format": 1, "w": 320, "h": 50, "country": pack3("CAN")}
    Writer(link).apply(
        [
            Deltas(
                *("host", 1, 1, 1_774_400_000_000),
                [
                    row(Kind.REQUEST, 10, exchange=1, country=pack3("USA"), os=1, inventory=2),
                    row(Kind.REQUEST, 5, exchange=2),
                    row(Kind.BID, 4, amount=3600, **of_c1),
                    row(Kind.BID, 2, amount=1800, **of_c2),
                    row(Kind.NOBID, 6, exchange=1, country=pack3("USA"), reason=Reason.FLOOR),
                    row(Kind.NOBID, 3, exchange=2, reason=Reason.TARGETING),
                    row(Kind.LATENCY, 15, exchange=1, reason=7),
                ],
            )
        ],
        [],
    )
    notices = [
        notice(NoticeKind.WIN, 1, **of_c1),
        notice(NoticeKind.BILL, 1, price=800, **of_c1),
        notice(NoticeKind.IMPRESSION, 1, **of_c1),
        notice(NoticeKind.CLICK, 1, **of_c1),
        notice(NoticeKind.VIEWABLE, 1, **of_c1),
        notice(NoticeKind.COMPLETE, 2, **of_c1),
        notice(NoticeKind.BILL, 2, minute=MINUTE + 23 * 60 + 30, price=700, **of_c1),
        notice(NoticeKind.WIN, 3, price=300, **(of_c2 | {"lease": 0})),
        notice(NoticeKind.BILL, 4, price=999, flags=4, **of_c1),
        notice(NoticeKind.BILL, 5, price=600, flags=16, **of_c1),
    ]
    ledger = Ledger(link, {})
    ledger.commit(Batch("f00d", ledger.place("f00d").position, 800, notices, 0.0))
    link.broken()
    yield made
    databases.drop(made)


@pytest.fixture
def state(tmp_path: Path, dsn: str) -> Path:
    made = context.make_state(tmp_path / "state")
    settings = Settings()
    context.save(made, replace(settings, postgres=replace(settings.postgres, dsn=dsn)), "")
    return made


class Outbid:
    """The verb on one host."""

    def __init__(self, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state = state
        self.capsys = capsys
        self.err = ""

    def code(self, *argv: str) -> int:
        parser = argparse.ArgumentParser()
        report.configure(parser)
        return report.run(parser.parse_args(argv, argparse.Namespace(state=self.state)))

    def rows(self, *argv: str) -> list[dict[str, Any]]:
        assert self.code(*argv, "--json") == 0
        said = self.capsys.readouterr()
        self.err = said.err
        found: list[dict[str, Any]] = json.loads(said.out)
        return found


@pytest.fixture
def outbid(state: Path, capsys: pytest.CaptureFixture[str]) -> Outbid:
    return Outbid(state, capsys)


def figures(
    requests: int, bids: int, wins: int, imps: int, clicks: int, conversions: int, spend: int
) -> dict[str, Any]:
    values = (requests, bids, wins, imps, clicks, conversions, spend)
    return dict(zip(FIGURES, values, strict=True)) | {"spend_usd": f"0.{spend:09d}"}


def test_more_figures_stand_beside_the_usual_ones(outbid: Outbid) -> None:
    rows = outbid.rows("spend", *SINCE, "--with", "viewable,completes,conversion_nano_usd")
    more = [[row[name] for name in ("viewable", "completes", "conversion_nano_usd", "conversion_usd")] for row in rows]
    assert more == [[1, 1, 0, "0.000000000"], [0, 0, 0, "0.000000000"]]
    assert all(set(FIGURES) < set(row) for row in rows)


def test_spend_by_campaign_has_all_figures_most_first(outbid: Outbid) -> None:
    assert outbid.rows("spend", *SINCE) == [
        {"campaign": "c-1", **figures(0, 4, 1, 1, 1, 0, 1500)},
        {"campaign": "c-2", **figures(0, 2, 1, 0, 0, 0, 300)},
    ]


def test_a_grand_total_counts_requests_too(outbid: Outbid) -> None:
    assert outbid.rows("delivery", *SINCE) == [figures(15, 6, 2, 1, 1, 0, 1800)]


def test_a_total_of_nothing_is_a_row_of_zeros(outbid: Outbid) -> None:
    assert outbid.rows("delivery", "--since", "2020-01-01", "--until", "2020-01-02") == [figures(*[0] * 7)]


def test_by_exchange_requests_bids_and_notices_meet_in_one_row(outbid: Outbid) -> None:
    assert outbid.rows("delivery", "--by", "exchange", *SINCE) == [
        {"exchange": "generic", **figures(10, 4, 1, 1, 1, 0, 1500)},
        {"exchange": "openx", **figures(5, 2, 1, 0, 0, 0, 300)},
    ]


@pytest.mark.parametrize(
    ("by", "labels"),
    [
        ("advertiser", [{"advertiser": "acme"}]),
        ("creative,campaign", [{"creative": "cr-1", "campaign": "c-1"}, {"creative": "cr-1", "campaign": "c-2"}]),
        ("deal", [{"deal": "d-7"}]),
        ("format", [{"format": "banner"}]),
        ("size", [{"size": "300x250"}, {"size": "320x50"}]),
        ("country", [{"country": None}, {"country": "CAN"}, {"country": "USA"}]),
        ("bundle", [{"bundle": None}, {"bundle": "com.game"}]),
        ("arm", [{"arm": "stable"}]),
    ],
)
def test_dimensions_come_as_names(outbid: Outbid, by: str, labels: list[dict[str, str]]) -> None:
    rows = outbid.rows("spend", "--by", by, *SINCE)
    assert [{name: row[name] for name in by.split(",")} for row in rows] == labels
    assert all(set(FIGURES) < set(row) for row in rows)


def test_days_and_hours_begin_in_the_zone_that_was_asked_for(outbid: Outbid) -> None:
    days = outbid.rows("spend", "--by", "day", "--tz", "Europe/Madrid", *SINCE)
    assert [(row["day"], row["spend_nano_usd"]) for row in days] == [("2026-03-25", 1100), ("2026-03-26", 700)]
    hours = outbid.rows("spend", "--by", "hour", "--tz", "Asia/Kolkata", *SINCE)
    assert [row["hour"] for row in hours] == ["2026-03-25T05:00:00+05:30", "2026-03-26T05:00:00+05:30"]


def test_filters_keep_only_what_they_name(outbid: Outbid) -> None:
    rows = outbid.rows("spend", "--where", "exchange=openx", "--where", "country=can", *SINCE)
    assert [row["campaign"] for row in rows] == ["c-2"]


def test_nobids_are_by_reason(outbid: Outbid) -> None:
    assert outbid.rows("nobids", *SINCE) == [{"reason": "FLOOR", "nobids": 6}, {"reason": "TARGETING", "nobids": 3}]
    assert outbid.rows("nobids", "--by", "exchange", "--where", "reason=floor", *SINCE) == [
        {"exchange": "generic", "nobids": 6}
    ]


def test_the_accounts_add_up_to_zero(outbid: Outbid) -> None:
    rows = {row["account"]: row["balance_usd"] for row in outbid.rows("accounts")}
    assert rows == {
        "advertiser:1": "-0.000001800",
        "campaign:1": "-0.000000500",
        "lease:1": "0.000000500",
        "campaign:2": "0.000000000",
        "media:1": "0.000001500",
        "media:2": "0.000000300",
        "suspense:1": "-0.000000600",
        "claim:1": "0.000000600",
    }
    assert outbid.code("accounts") == 0
    assert outbid.capsys.readouterr().out.endswith("\n\nAll 8 accounts add up to 0.000000000.\n")


def test_the_ledger_says_what_became_of_each_budget(outbid: Outbid) -> None:
    figures = ("granted", "returned", "spent", "balance", "late", "overspend", "suspense", "charged")
    rows = {
        row["campaign"]: [row[f"{figure}_nano_usd"] for figure in figures]
        for row in outbid.rows("ledger", "--since", "2020-01-01")
    }
    assert rows == {"c-1": [2000, 0, 1500, 500, 0, 0, 600, 1500], "c-2": [0, 0, 300, -300, 0, 0, 0, 300]}
    by_day = outbid.rows("ledger", "--by", "day,exchange", "--where", "campaign=c-2", "--since", "2020-01-01")
    assert [(row["day"], row["exchange"], row["spent_usd"]) for row in by_day] == [
        ("2026-03-25", "openx", "0.000000300")
    ]
    assert outbid.rows("ledger", "--since", "2020-01-01", "--until", "2020-01-02") == []


def test_suspense_is_listed_with_what_became_of_it(outbid: Outbid) -> None:
    (row,) = outbid.rows("suspense")
    assert (row["exchange"], row["campaign"], row["price_usd"], row["state"]) == (
        "generic",
        "c-1",
        "0.000000600",
        "open",
    )


def test_budgets_show_what_was_spent(outbid: Outbid) -> None:
    spent = {row["campaign"]: row["spend_usd"] for row in outbid.rows("budget")}
    assert spent == {"c-1": "0.000001500", "c-2": "0.000000300"}


def test_status_says_how_far_the_facts_reach(outbid: Outbid) -> None:
    found = [(row["source"], row["name"], row["epoch"], row["position"]) for row in outbid.rows("status")]
    assert found == [("counters", "host", 1, 1), ("money", "f00d", None, 800)]


def test_flagged_and_suspended_notices_are_to_be_seen(dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as db, db, db.cursor() as cursor:
        cursor.execute("SELECT campaign, kind, flags, notices FROM report.flagged ORDER BY flags")
        assert cursor.fetchall() == [("c-1", "bill", "expired", 1), ("c-1", "bill", "price_above_bid", 1)]
        cursor.execute("SELECT campaign, price_nano_usd, extract(epoch FROM minute)::int / 60 FROM report.suspense")
        assert cursor.fetchall() == [("c-1", 600, MINUTE)]
        cursor.execute("SELECT within_us, requests FROM report.latency")
        assert cursor.fetchall() == [(128, 15)]
        cursor.execute("SELECT bids, win_rate, ecpm_usd FROM report.delivery WHERE campaign = 'c-1' AND bids > 0")
        assert [(b, str(w), str(e)) for b, w, e in cursor.fetchall()] == [(4, "0.250000", "0.001500")]


def test_names_that_are_not_asked_for_are_not_looked_up(dsn: str) -> None:
    """The planner drops the joins: a report by exchange costs one join however many dimensions there are."""
    with closing(psycopg2.connect(dsn)) as db, db, db.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT exchange, sum(spend_nano_usd) FROM report.delivery_minute GROUP BY 1")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "exchange" in plan
    assert not any(table in plan for table in ("term", "creative_", "on name", "advertiser"))


def test_a_report_that_cannot_be_asked_is_one_line(outbid: Outbid) -> None:
    with pytest.raises(CliError, match="'colour' is no dimension"):
        outbid.code("spend", "--by", "colour")


def test_flush_waits_for_what_the_processes_say(outbid: Outbid) -> None:
    counters = _answering(outbid.state, "supervisor", {"producer": "host", "epoch": 1, "seq": 1})
    money = _answering(outbid.state, "tracker", {"stream": "f00d", "position": 800})
    with counters, money:
        assert outbid.rows("spend", "--flush", *SINCE)
    assert outbid.err == ""


def test_flush_that_is_not_reached_in_time_fails_with_its_own_code(outbid: Outbid) -> None:
    with _answering(outbid.state, "supervisor", {"producer": "host", "epoch": 1, "seq": 2}):
        assert outbid.code("spend", "--flush", "--timeout", "0.2") == report.NOT_REACHED
    assert "host has not reached 2" in outbid.capsys.readouterr().err


def test_flush_without_a_tracker_waits_for_its_spool(outbid: Outbid) -> None:
    spool = Spool(outbid.state / "spool")
    position = spool.append(b"\x90" * 10).result(5)
    spool.close()
    assert outbid.code("spend", "--flush", "--timeout", "0.2") == report.NOT_REACHED
    said = outbid.capsys.readouterr().err
    assert "no supervisor runs" in said
    assert f"{spool.id} has not reached {position}" in said


def test_sql_gives_psql_its_arguments_and_hides_the_password(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *call: started.extend(call))
    settings = Settings()
    context.save(state, settings, "postgresql://analyst_login:secret@127.0.0.1:5/outbid")
    parser = argparse.ArgumentParser()
    sql.configure(parser)
    sql.run(parser.parse_args(["-A", "-c", "SELECT 1", "--", "-F", ","], argparse.Namespace(state=state)))
    path, argv, environ = started
    assert argv[0] == path
    assert argv[3:] == ["--no-align", "--command=SELECT 1", "-F", ","]
    assert environ["PGPASSWORD"] == "secret"
    assert "secret" not in " ".join(argv)
    assert "role=analyst" in environ["PGOPTIONS"]


class _answering:
    """A control socket that answers `flush`, on a loop of its own."""

    def __init__(self, state: Path, role: str, answer: dict[str, Any]) -> None:
        self._path = state / "run" / f"{role}.sock"
        self._answer = answer
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(5)

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await serve(self._path, {"flush": lambda request: self._answer})
        self._ready.set()
        await self._stop.wait()
        await server.close()
