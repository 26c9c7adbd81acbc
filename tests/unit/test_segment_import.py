"""Lists of users: what is read of a line, what is refused and named, and what the store then has."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bidder.settings import SHIPPED_EXCHANGES, Users
from bidder.users import importing
from bidder.users.importing import Bad, Row
from bidder.users.people import OF_BUYERUID, OF_IFA, OF_USER_ID, People
from bidder.users.store import UserStore
from tests.users import a_store
from tests.worlds import user_keys

OPENX = SHIPPED_EXCHANGES["openx"].key


def read(*lines: str) -> list[Row | Bad]:
    return list(importing.read(lines, SHIPPED_EXCHANGES, 1_000))


def test_json_and_csv_say_the_same() -> None:
    rows: list[dict[str, Any]] = [
        {"id_type": "ifa", "id": "AB-1", "segment": "s-a", "ttl_s": 60},
        {"id_type": "buyeruid", "id": "x,y", "segment": "s-b_C-9"},
        {"id_type": "exchange:openx", "id": "u", "segment": "s-a", "ttl_s": "7"},
    ]
    wanted = [
        Row(OF_IFA, 0, "AB-1", "s-a", 60),
        Row(OF_BUYERUID, 0, "x,y", "s-b_C-9", 1_000),
        Row(OF_USER_ID, OPENX, "u", "s-a", 7),
    ]
    assert read("\n", *(json.dumps(row) for row in rows), "") == wanted
    assert (
        read("segment,id_type,id,ttl_s\n", "s-a,ifa,AB-1,60\r\n", 's-b_C-9,buyeruid,"x,y",', "s-a,exchange:openx,u,7")
        == wanted
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id_type": "idfa"}, "id_type"),
        ({"id_type": "ifa:openx"}, "id_type"),
        ({"id_type": "exchange:nobody"}, "no exchange"),
        ({"id_type": "exchange"}, "no exchange"),
        ({"id": ""}, "characters"),
        ({"id": 7}, "characters"),
        ({"id": "x" * 257}, "characters"),
        ({"id": "00000000-0000-0000-0000-000000000000"}, "zeros"),
        ({"segment": "shoes"}, "segment"),
        ({"segment": "s-"}, "segment"),
        ({"segment": "s-" + "x" * 15}, "segment"),
        ({"segment": "s-a\n"}, "segment"),
        ({"segment": None}, "segment"),
        ({"ttl_s": 0}, "ttl_s"),
        ({"ttl_s": "soon"}, "ttl_s"),
        ({"ttl_s": 10**9}, "ttl_s"),
        ({"name": "x"}, "a key that is not known"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_never_by_what_it_holds(changes: dict[str, Any], why: str) -> None:
    good = {"id_type": "ifa", "id": "secret-id", "segment": "s-a"}
    first, bad, last = read(json.dumps(good), json.dumps(good | changes), json.dumps(good))
    assert isinstance(first, Row)
    assert first == last
    assert isinstance(bad, Bad)
    assert (bad.line, why in bad.why, "secret-id" in bad.why) == (2, True, False)


def test_what_is_no_list_at_all_is_one_bad_line() -> None:
    assert read() == []
    assert read("[1]") == [Bad(1, "neither JSON nor a CSV's columns: id_type,id,segment,ttl_s")]
    assert read('{"id_type": "ifa", "id": "a", "segment": "s-a"}', "{", "[]") == [
        Row(OF_IFA, 0, "a", "s-a", 1_000),
        Bad(2, "not JSON"),
        Bad(3, "not an object"),
    ]
    assert read("id_type,id,segment", "ifa,a") == [Bad(2, "2 columns where 3 are wanted")]


@pytest.fixture
def store(memcached: str) -> Iterator[UserStore]:
    found = a_store(memcached)
    yield found
    found.close()


def test_every_row_is_stored_under_the_hash_of_its_user(store: UserStore) -> None:
    people = People(store, user_keys, Users())
    rows = [Row(OF_IFA, 0, f"import-{n % 40}", f"s-{n}", 500) for n in range(120)]
    seen: list[int] = []

    async def story() -> None:
        assert await importing.store(rows, people, seen.append) == 120
        digests = {n: people.digest(OF_IFA, 0, f"import-{n}") for n in range(40)}
        found = await store.fetch(digests.values())
        assert found is not None
        for n, digest in digests.items():
            assert set(found[digest].segments) == {f"s-{n}", f"s-{n + 40}", f"s-{n + 80}"}

    asyncio.run(story())
    assert sorted(seen) == list(range(1, 121))


def test_a_store_that_does_not_answer_ends_it_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ATTEMPTS", 2)
    dead = a_store("127.0.0.1:1")
    people = People(dead, user_keys, Users())
    with pytest.raises(importing.StoreAwayError, match="0 lines were stored"):
        asyncio.run(importing.store([Row(OF_IFA, 0, "a", "s-a", 5)], people, lambda done: None))
    dead.close()
