"""Campaigns in Postgres (`config`): what the operator's verbs change and the controller reads.

Every change raises `config.revision` in its own transaction, so a book's revision tells
exactly which changes it has.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from bidder.campaigns.arms import ArmRange
from bidder.campaigns.model import CampaignFileError, normalise, read_lines
from bidder.campaigns.record import CampaignRecord
from bidder.money.units import nano_from_usd

ABSURD_RISE = 100  # a budget that grows by this factor needs confirmation


class StoreError(Exception):
    """What was asked cannot be done; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a verb did: `revision` is what a book must have to contain it."""

    revision: int
    created: int = 0
    updated: int = 0


def raise_revision_in(cursor: Any) -> int:
    """Raise the revision; the row lock makes changes queue up, so revisions are visible in order."""
    cursor.execute("UPDATE config.revision SET revision = revision + 1 RETURNING revision")
    revision: int = cursor.fetchone()[0]
    return revision


def raise_revision(db: Connection) -> int:
    """For a change that Postgres knows nothing of; the revision from which on books have it."""
    with db, db.cursor() as cursor:
        return raise_revision_in(cursor)


def newest_revision(cursor: Any) -> int:
    """The revision that this transaction sees."""
    cursor.execute("SELECT revision FROM config.revision")
    newest: int = cursor.fetchone()[0]
    return newest


def _budget_columns(body: Mapping[str, Any]) -> dict[str, Any]:
    budget = body.get("budget") or {}
    flight = body.get("flight") or {}
    return {
        "total_nano": None if budget.get("total_usd") is None else nano_from_usd(budget["total_usd"]),
        "daily_nano": None if budget.get("daily_usd") is None else nano_from_usd(budget["daily_usd"]),
        "hourly_nano": None if budget.get("hourly_usd") is None else nano_from_usd(budget["hourly_usd"]),
        "even": budget.get("pacing") == "even",
        "timezone": budget.get("timezone") or "UTC",
        "flight_start": flight.get("start"),
        "flight_end": flight.get("end"),
    }


def _refuse_absurd(cursor: Any, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """A budget a hundred times the old one is a slip of the keyboard until somebody confirms it."""
    cursor.execute(
        "SELECT id, total_nano, daily_nano, hourly_nano FROM config.campaign WHERE id = ANY(%s)", (list(rows),)
    )
    for campaign, *old in cursor.fetchall():
        for name, before in zip(("total_nano", "daily_nano", "hourly_nano"), old, strict=True):
            after = rows[campaign][name]
            if before and after and after >= before * ABSURD_RISE:
                what = name.removesuffix("_nano")
                raise StoreError(
                    f"campaign {campaign}: the {what} budget would rise {after // before} times; confirm with --confirm"
                )


def terms(bodies: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """(kind, value) of every deal, bundle and domain that the campaigns name."""
    found: set[tuple[str, str]] = set()
    for body in bodies:
        targeting = body.get("targeting") or {}
        for dimension, kind in (("deal", "deal"), ("bundle", "inventory"), ("domain", "inventory")):
            for side in (targeting.get(dimension) or {}).values():
                found.update((kind, value.casefold() if kind == "inventory" else value) for value in side)
    return found


def import_campaigns(db: Connection, bodies: Sequence[Mapping[str, Any]], *, confirm: bool = False) -> Change:
    """Create or replace campaigns (normalised bodies) in one transaction: all of them or none."""
    with db, db.cursor() as cursor:
        revision = raise_revision_in(cursor)
        columns = {body["id"]: _budget_columns(body) for body in bodies}
        if not confirm:
            _refuse_absurd(cursor, columns)
        advertisers = sorted({body["advertiser"] for body in bodies})
        execute_values(
            cursor, "INSERT INTO config.advertiser (id) VALUES %s ON CONFLICT DO NOTHING", [(a,) for a in advertisers]
        )
        cursor.execute("SELECT id, key FROM config.advertiser WHERE id = ANY(%s)", (advertisers,))
        keys = dict(cursor.fetchall())
        rows = [
            (
                body["id"], keys[body["advertiser"]], body["status"], json.dumps(body),
                *columns[body["id"]].values(), revision,
            )
            for body in bodies
        ]  # fmt: skip
        written = execute_values(
            cursor,
            "INSERT INTO config.campaign (id, advertiser, status, body, total_nano, daily_nano, hourly_nano, even,"
            " timezone, flight_start, flight_end, revision) VALUES %s"
            " ON CONFLICT (id) DO UPDATE SET advertiser = EXCLUDED.advertiser, status = EXCLUDED.status,"
            " body = EXCLUDED.body, total_nano = EXCLUDED.total_nano, daily_nano = EXCLUDED.daily_nano,"
            " hourly_nano = EXCLUDED.hourly_nano, even = EXCLUDED.even, timezone = EXCLUDED.timezone,"
            " flight_start = EXCLUDED.flight_start, flight_end = EXCLUDED.flight_end,"
            " revision = EXCLUDED.revision, updated_at = now()"
            " RETURNING id, key, xmax = 0",
            rows,
            fetch=True,
        )
        campaign_keys = {row[0]: row[1] for row in written}
        execute_values(
            cursor,
            "INSERT INTO config.creative (campaign, id) VALUES %s ON CONFLICT DO NOTHING",
            [(campaign_keys[body["id"]], creative["id"]) for body in bodies for creative in body["creatives"]],
        )
        named = sorted(terms(bodies))
        if named:
            execute_values(cursor, "INSERT INTO config.term (kind, value) VALUES %s ON CONFLICT DO NOTHING", named)
        created = sum(row[2] for row in written)
    return Change(revision=revision, created=created, updated=len(bodies) - created)


def _checked(cursor: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """A body that was changed, read again as an import would be; StoreError where it is not one any more."""
    cursor.execute("SELECT name FROM config.exchange")
    try:
        (campaign,) = read_lines(json.dumps(body), [name for (name,) in cursor.fetchall()])
    except CampaignFileError as error:
        raise StoreError(f"campaign {body['id']}: {str(error).partition(': ')[2]}") from None
    return normalise(campaign)


def _changed(cursor: Any, campaign: str, assignments: str, values: Sequence[Any]) -> int:
    """One campaign, one revision; StoreError where there is none of that id."""
    revision = raise_revision_in(cursor)
    cursor.execute(
        f"UPDATE config.campaign SET {assignments}, revision = %s, updated_at = now() WHERE id = %s",
        (*values, revision, campaign),
    )
    if cursor.rowcount != 1:
        raise StoreError(f"no campaign {campaign!r}")
    return revision


def set_status(db: Connection, campaign: str, status: str) -> Change:
    """Pause, resume or archive one campaign."""
    with db, db.cursor() as cursor:
        revision = _changed(
            cursor,
            campaign,
            "status = %s, body = jsonb_set(body, '{status}', to_jsonb(%s::text))",
            (status, status),
        )
    return Change(revision=revision, updated=1)


def set_budget(db: Connection, campaign: str, budget: Mapping[str, Any], *, confirm: bool = False) -> Change:
    """Change the named parts of a budget (`total_usd`, ..., `pacing`, `timezone`); None takes a limit away."""
    with db, db.cursor() as cursor:
        cursor.execute("SELECT body FROM config.campaign WHERE id = %s FOR UPDATE", (campaign,))
        found = cursor.fetchone()
        if found is None:
            raise StoreError(f"no campaign {campaign!r}")
        merged = {**(found[0].get("budget") or {}), **budget}
        body = _checked(cursor, found[0] | {"budget": {k: v for k, v in merged.items() if v is not None}})
        columns = _budget_columns(body)
        if not confirm:
            _refuse_absurd(cursor, {campaign: columns})
        assignments = ", ".join(f"{name} = %s" for name in columns)
        revision = _changed(cursor, campaign, f"body = %s, {assignments}", (json.dumps(body), *columns.values()))
    return Change(revision=revision, updated=1)


def list_campaigns(db: Connection) -> list[dict[str, Any]]:
    """All campaigns, a short row each, by id."""
    with db, db.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, a.id, c.status, c.body->'bid'->>'cpm_usd', c.body->'budget', c.revision"
            " FROM config.campaign c JOIN config.advertiser a ON a.key = c.advertiser ORDER BY c.id"
        )
        names = ("id", "advertiser", "status", "cpm_usd", "budget", "revision")
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def show_campaign(db: Connection, campaign: str) -> dict[str, Any]:
    """The campaign in the import format."""
    with db, db.cursor() as cursor:
        cursor.execute("SELECT body FROM config.campaign WHERE id = %s", (campaign,))
        found = cursor.fetchone()
    if found is None:
        raise StoreError(f"no campaign {campaign!r}")
    body: dict[str, Any] = found[0]
    return body


def sync_exchanges(db: Connection, rows: Mapping[str, tuple[int, str]]) -> None:
    """Copy name -> (key, spend_on) from the settings, for reports and the ledger."""
    with db, db.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO config.exchange (key, name, spend_on) VALUES %s"
            " ON CONFLICT (key) DO UPDATE SET name = EXCLUDED.name, spend_on = EXCLUDED.spend_on",
            [(key, name, spend_on) for name, (key, spend_on) in rows.items()],
        )


def revision(db: Connection) -> int:
    """The newest revision of `config`."""
    with db, db.cursor() as cursor:
        return newest_revision(cursor)


def read_records(db: Connection, now: datetime) -> tuple[int, list[CampaignRecord], list[ArmRange]]:
    """All campaigns and arms of one instant, with the revision that they reflect."""
    with db, db.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        newest = newest_revision(cursor)
        cursor.execute("SELECT kind, value, key FROM config.term")
        keys = {(kind, value): key for kind, value, key in cursor.fetchall()}
        cursor.execute("SELECT campaign, id, key FROM config.creative")
        creatives: dict[int, dict[str, int]] = {}
        for campaign, creative, key in cursor.fetchall():
            creatives.setdefault(campaign, {})[creative] = key
        cursor.execute("SELECT key, advertiser, status, flight_end, body FROM config.campaign ORDER BY key")
        records = []
        for key, advertiser, status, flight_end, body in cursor:
            named = terms([body])
            records.append(
                CampaignRecord(
                    key=key,
                    advertiser=advertiser,
                    creatives=creatives.get(key, {}),
                    deals={value: keys[kind, value] for kind, value in named if kind == "deal"},
                    inventory={value: keys[kind, value] for kind, value in named if kind == "inventory"},
                    active=status == "active" and (flight_end is None or flight_end > now),
                    body=body,
                )
            )
        cursor.execute(
            "SELECT a.key, a.first_bucket, a.buckets, a.features_off FROM config.experiment_arm a"
            " JOIN config.experiment e ON e.id = a.experiment WHERE e.ended IS NULL ORDER BY a.key"
        )
        arms = [ArmRange(*row) for row in cursor.fetchall()]
    return newest, records, arms
