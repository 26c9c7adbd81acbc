"""The verbs on a running host: what they print for programs parses, what cannot be done is refused in one line."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from bidder.simulator.traffic import requests
from tests.blackbox.bid_port import Asker, Json, Sizes, campaign, request
from tests.hosts import ROLES, Host

pytestmark = pytest.mark.blackbox

SIZES = Sizes(7_900)
FIGURES = ("requests", "bids", "wins", "impressions", "clicks", "conversions", "spend_nano_usd")
DEMAND = ("advertiser", "campaign", "creative", "deal", "format", "size")  # what no request has, only a bid
PLACES = ("exchange", "country", "os", "inventory", "arm", "minute", "hour", "day")
ALIASES = ("bundle", "domain")  # of inventory
DIMENSIONS = {"spend": (*DEMAND, *PLACES), "nobids": ("reason", *PLACES)}


def mine(name: str, **changes: Any) -> Json:
    return campaign(name, SIZES.of(name), **changes)


def said_no(host: Host, *argv: str, code: int = 1, stdin: str | None = None) -> list[str]:
    """The lines on stderr of a verb that refuses."""
    done = host.try_verb(*argv, stdin=stdin)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


@pytest.fixture(scope="module")
def traffic(host: Host) -> Iterator[Json]:
    """A campaign with a bid in the books, and 200 requests around it."""
    only = mine(
        "cli", budget={"daily_usd": "20", "timezone": "Europe/Madrid"}, targeting={"country": {"include": ["ESP"]}}
    )
    host.campaigns(only)
    with Asker(host.base) as asker:
        for body in islice(requests(77), 200):
            asker.ask(body, "xandr")
        assert asker.ask(request(SIZES.of("cli"), {"device": {"geo": {"country": "ESP"}}}), "xandr").campaigns == [
            "cli"
        ]
        assert asker.ask(request(SIZES.of("cli"), {"device": {"geo": {"country": "USA"}}}), "xandr").campaigns == []
    host.report("delivery")
    yield only
    host.campaigns(only | {"status": "archived"})


def test_what_is_shown_of_a_campaign_can_be_imported_again(host: Host, traffic: Json) -> None:
    shown = host.verb("campaign", "show", "cli")
    assert json.loads(shown)["targeting"] == traffic["targeting"]
    one_line = host.verb("campaign", "show", "cli", "--json")
    assert json.loads(one_line) == json.loads(shown)
    again = json.loads(host.verb("campaign", "import", "-", "--wait", "--json", stdin=one_line))
    assert (again["created"], again["updated"]) == (0, 1)
    assert json.loads(host.verb("campaign", "show", "cli")) == json.loads(shown)


def test_the_list_of_campaigns_is_a_table_for_people_and_json_for_programs(host: Host, traffic: Json) -> None:
    rows = {row["id"]: row for row in json.loads(host.verb("campaign", "list", "--json"))}
    assert rows["cli"]["cpm_usd"] == "2"
    assert rows["cli"]["budget"]["daily_usd"] == "20"
    table = host.verb("campaign", "list").splitlines()
    assert len(table) == len(rows) + 1
    assert any(line.split()[:3] == ["cli", "conformance", "active"] for line in table)


def test_an_explanation_says_what_the_running_host_answered(host: Host, traffic: Json, tmp_path: Path) -> None:
    """The two requests that `traffic` ends with."""
    file = tmp_path / "request.json"
    for country, code, said in (("ESP", 0, ""), ("USA", 1, "country: USA not in include [ESP]")):
        file.write_text(json.dumps(request(SIZES.of("cli"), {"device": {"geo": {"country": country}}})))
        done = host.try_verb("explain", str(file), "--exchange", "xandr", "--campaign", "cli", "--json")
        assert (done.returncode, done.stderr) == (code, "")
        (one,) = json.loads(done.stdout)["imps"][0]["closest"]
        assert (one["campaign"], one["outcome"], one["predicate"]) == ("cli", "falls" if code else "wins", said)


def test_every_change_says_its_revision(host: Host, traffic: Json) -> None:
    changes = (
        ["pause", "cli"],
        ["resume", "cli"],
        ["set-budget", "cli", "--daily-usd", "30", "--pacing", "even"],
        ["set-budget", "cli", "--daily-usd", "none", "--pacing", "asap", "--timezone", "UTC"],
        ["archive", "cli"],
        ["resume", "cli"],
    )
    said = [json.loads(host.verb("campaign", *argv, "--json")) for argv in changes]
    revisions = [one["revision"] for one in said]
    assert revisions == sorted(set(revisions))
    body = json.loads(host.verb("campaign", "show", "cli"))
    assert body["status"] == "active"
    assert body["budget"] == {"pacing": "asap", "timezone": "UTC"}


def test_a_file_with_bad_lines_imports_nothing_and_names_each_with_its_place(host: Host) -> None:
    lines = [
        json.dumps(mine("good")),
        "{",
        json.dumps(mine("bad", targeting={"contry": {"include": ["USA"]}})),
        json.dumps(mine("bad", targeting={"exchange": {"include": ["nobody"]}})),
        json.dumps(mine("bad", bid={"cpm_usd": 2.5})),
        json.dumps(mine("good")),
    ]
    head, *faults = said_no(host, "campaign", "import", "-", stdin="\n".join(lines))
    assert "nothing was imported" in head
    assert [fault.partition(": ")[0] for fault in faults] == ["line 2", "line 3", "line 4", "line 5", "line 6"]
    places = ["not JSON", "targeting.contry", "targeting.exchange.include[0]", "bid.cpm_usd", "id: 'good'"]
    for place, fault in zip(places, faults, strict=True):
        assert place in fault
    assert "good" not in {row["id"] for row in json.loads(host.verb("campaign", "list", "--json"))}


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["campaign", "import", "/nowhere.jsonl"], "/nowhere.jsonl: No such file"),
        (["campaign", "import", "/"], "/: Is a directory"),
        (["campaign", "import", "/dev/null"], "/dev/null: no campaign in it"),
        (["campaign", "set-budget", "cli"], "nothing to change"),
        (["campaign", "set-budget", "cli", "--daily-usd", "lots"], "--daily-usd: not a decimal amount: 'lots'"),
        (["campaign", "set-budget", "cli", "--timezone", "Mars/Base"], "Mars/Base"),
        (["report", "spend", "--by", "weather"], "'weather' is no dimension of spend; there are advertiser"),
        (["report", "nobids", "--by", "campaign"], "'campaign' is no dimension of nobids"),
        (["report", "spend", "--since", "yesterday"], "--since yesterday"),
        (["report", "spend", "--where", "weather=fine"], "'weather'"),
        (["report", "spend", "--tz", "Mars/Base"], "--tz Mars/Base"),
        (["exchange", "play", "--exchange", "nobody", "--seconds", "1"], "--exchange nobody"),
        (["start", "kitchen"], "no role 'kitchen' runs here; there are aggregator"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_refused_in_one_line(host: Host, traffic: Json, argv: list[str], named: str) -> None:
    (line,) = said_no(host, *argv)
    assert line.startswith(f"outbid {argv[0]}: ")
    assert named in line


@pytest.mark.parametrize("kind", DIMENSIONS)
def test_a_report_is_the_same_in_every_format(host: Host, traffic: Json, kind: str) -> None:
    """By all of its dimensions at once."""
    by = ",".join(DIMENSIONS[kind])
    rows = json.loads(host.verb("report", kind, "--by", by, "--json"))
    assert rows
    assert list(rows[0])[: by.count(",") + 1] == by.split(",")
    read = list(csv.DictReader(io.StringIO(host.verb("report", kind, "--by", by, "--format", "csv"))))
    assert read == [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
    table = host.verb("report", kind, "--by", by).splitlines()
    assert len(table) == len(rows) + 2
    assert table[0].split()[0] == by.partition(",")[0]


@pytest.mark.parametrize("kind", DIMENSIONS)
def test_a_report_adds_up_by_each_of_its_dimensions(host: Host, traffic: Json, kind: str) -> None:
    figures = FIGURES if kind == "spend" else ("nobids",)

    def totals(by: str) -> list[int]:
        rows = json.loads(host.verb("report", kind, "--by", by, "--json"))
        return [sum(row[figure] for row in rows) for figure in figures]

    whole = dict(zip(figures, totals("total"), strict=True))
    assert whole.get("bids", whole.get("nobids"))
    for by in {*DIMENSIONS[kind], *ALIASES} - {"deal"}:  # most bids are through none
        found = dict(zip(figures, totals(by), strict=True))
        if by in DEMAND:
            found["requests"] = whole["requests"]
        assert found == whole, by


def test_a_report_covers_the_time_and_the_rows_that_were_asked_for(host: Host, traffic: Json) -> None:
    def rows(kind: str, *argv: str) -> list[Json]:
        found = json.loads(host.verb("report", kind, *argv, "--json"))
        assert isinstance(found, list)
        return found

    (bid,) = rows("spend", "--by", "campaign,country,exchange", "--where", "campaign=cli", "--since", "1h")
    assert (bid["country"], bid["exchange"], bid["bids"], bid["requests"]) == ("ESP", "xandr", 1, 0)
    assert rows("spend", "--by", "campaign", "--since", "2h", "--until", "1h") == []
    assert rows("spend", "--by", "campaign", "--since", "2020-01-01", "--until", "2020-02-01T00:00+02:00") == []
    reasons = {row["reason"] for row in rows("nobids", "--since", "1d")}
    assert reasons <= {reason.name for reason in Reason}
    assert reasons


@pytest.mark.parametrize("kind", ["budget", "ledger", "accounts", "status"])
def test_lists_parse_in_every_format(host: Host, traffic: Json, kind: str) -> None:
    rows = json.loads(host.verb("report", kind, "--format", "json"))
    read = list(csv.reader(io.StringIO(host.verb("report", kind, "--format", "csv"))))
    assert rows
    assert read[0] == list(rows[0])
    assert len(host.verb("report", kind).splitlines()) > 2


def test_sql_is_psql_for_analysts(host: Host, traffic: Json) -> None:
    rows = host.verb("sql", "-A", "-t", "-c", "SELECT sum(bids) FROM delivery_minute WHERE campaign = 'cli'")
    assert rows == "1\n"
    assert host.verb("sql", "--csv", "-c", "SELECT 1 AS one, 2 AS two") == "one,two\n1,2\n"
    for forbidden in ("CREATE TABLE x (i int)", "SELECT * FROM config.campaign", "SELECT * FROM ledger.entry"):
        done = host.try_verb("sql", "-c", forbidden)
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR: ")


def test_status_and_switches_are_json_for_programs(host: Host) -> None:
    processes = json.loads(host.verb("status", "--json"))["processes"]
    assert {row["role"] for row in processes} >= ROLES
    assert all(row["healthy"] and isinstance(row["pid"], int) for row in processes)
    off = json.loads(host.verb("switch", "off", "--exchange", "google", "--json"))
    on = json.loads(host.verb("switch", "on", "--exchange", "google", "--json"))
    assert (off["exchanges"], on["exchanges"]) == (["google"], [])
