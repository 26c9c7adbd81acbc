"""Schedules on real Postgres: LeaseOffice, Ledger and Writer say and write the same as the reference does."""

import dataclasses
from contextlib import closing
from functools import partial

import psycopg2
import pytest

from aggregator.migrate import migrate
from aggregator.postgres import Link
from tests.simulation.mirror import Mirror
from tests.simulation.plan import plan
from tests.simulation.run import Place
from tests.simulation.world import World

SEEDS = (1, 3, 11)
STEPS = 25


@pytest.mark.parametrize("seed", SEEDS)
def test_postgres_does_what_the_reference_does(seed: int, database: str) -> None:
    migrate(database)
    whole = plan(seed)
    short = dataclasses.replace(whole, steps=whole.steps[:STEPS], page=4_000)
    place, link, made = Place(), Link(database, "mirror"), list[Mirror]()

    def bank(db: "psycopg2.extensions.connection", *args: object, **more: object) -> Mirror:
        made.append(Mirror(db, link, *args, **more))  # type: ignore[arg-type]
        return made[-1]

    with closing(psycopg2.connect(database, options="-c TimeZone=UTC")) as db:
        try:
            World(short, place.fresh(), place.counters, bank=partial(bank, db)).run()
            made[0].compare_books()
        finally:
            link.broken()
            place.erase()
    assert made[0].compared > 100
