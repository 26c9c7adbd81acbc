"""Books of many blocks, most of which hold nothing for a request: the same campaigns as one by one, in the same order.

Campaigns stand in runs of one kind, so that whole blocks are empty, full, or refuse together, and runs end everywhere
in a block. Imps of one request are asked for in any order, and some not to the end, as auctions do.
"""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.matcher import Matcher
from bidder._fast.request import Reader
from tests.bench import campaigns as generated
from tests.bench.servers import bodies as requests
from tests.books import EXCHANGES, bodies, book, campaign, creative
from tests.reference import matcher as reference
from tests.reference.once import read_once
from tests.reference.request import view_imp

NOW_S = 1_790_000_000
NOW = datetime.fromtimestamp(NOW_S, UTC)
BLOCK = 512
RUNS = [1, 2, 63, 65, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 1_300]
INSECURE = {"adm": "<img src='http://cdn.example/a.png'>"}
KINDS: list[dict[str, Any]] = [
    {},
    {"targeting": {"country": {"include": ["ISL"]}}},
    {"targeting": {"country": {"include": ["ISL", "USA"]}, "deal": {"include": ["d-rare"]}}},
    {"targeting": {"country": {"exclude": ["USA"]}}},
    {"targeting": {"deal": {"include": ["d-rare", "d-2"]}}},
    {"targeting": {"deal": {"exclude": ["d-2"]}, "inventory": {"include": ["app"]}}},
    {"targeting": {"segment": {"all": ["seg-1", "seg-2"]}}},
    {"targeting": {"user_id": "forbidden"}},
    {"targeting": {"cat": {"include": ["IAB9"]}, "os": {"exclude": ["ios", "android"]}}},
    {"creatives": [creative(**INSECURE)]},
    {"creatives": [creative(**INSECURE), creative(id="cr-2", w=320, h=50)]},
    {"creatives": [creative(w=320, h=50)]},
    {"creatives": [creative(w=1, h=1)], "targeting": {"country": {"include": ["ISL"]}}},
    {"multipliers": [{"when": {"country": ["ISL"]}, "factor": "1.5"}]},
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    read_once(monkeypatch)


def wants(body: dict[str, Any], request: dict[str, Any], imp: dict[str, Any], exchange: str) -> bool:
    """The reference, and what the index knows of creatives."""
    seen, ads = view_imp(imp), body["creatives"]
    return (
        "banner" in seen["media"]
        and (not seen["sizes"] or any((ad["w"], ad["h"]) in seen["sizes"] for ad in ads))
        and not (seen["secure"] and all(reference.insecure(ad["adm"].lower()) for ad in ads))
        and reference.accepts(body, request, imp, exchange, NOW) is None
    )


def altered(dice: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    """Two or three imps, and here and there a value that few campaigns name."""
    imps = [json.loads(json.dumps(dice.choice(request["imp"]))) for _ in range(dice.choice([2, 3]))]
    for number, imp in enumerate(imps):
        imp["id"] = str(number)
        imp["secure"] = dice.randrange(2)
        imp["banner"] = dice.choice(
            [imp["banner"], {"w": 300, "h": 250}, {"w": 320, "h": 50}, {"format": [{"w": 1, "h": 1}]}, {}]
        )
        named = dice.choice([[], [], ["d-rare"], ["d-2"], ["d-rare", "d-2"], ["d-none"]])
        imp["pmp"] = {"deals": [{"id": name} for name in named]}
    changed = request | {"imp": imps}
    if dice.randrange(2):
        changed["device"] = request["device"] | {"geo": {"country": dice.choice(["ISL", "USA", "DEU", None])}}
    if dice.randrange(2):
        segments = [{"id": name} for name in dice.sample(["seg-1", "seg-2", "seg-3"], 2)]
        changed["user"] = (request.get("user") or {}) | {"data": [{"segment": segments}]}
    if dice.randrange(4) == 0:
        changed["cur"] = ["USD"]
    return changed


class Compared:
    """A book, its matcher, and the same campaigns one by one. Campaigns of one kind are looked at once."""

    def __init__(self, path: Path, campaigns: Sequence[dict[str, Any]], kept: int = 256) -> None:
        self.matcher = Matcher(book(path, campaigns), kept)
        self.reader = Reader()
        self.kinds: list[dict[str, Any]] = []
        self.members: list[list[int]] = []
        known: dict[str, int] = {}
        for key, body in enumerate(bodies(campaigns), 1):
            looked_at = ("targeting", "creatives", "budget")
            kind = json.dumps([body.get(name) for name in looked_at], sort_keys=True)
            if kind not in known:
                known[kind] = len(self.kinds)
                self.kinds.append(body)
                self.members.append([])
            self.members[known[kind]].append(key)

    def wanted(self, request: dict[str, Any], number: int, exchange: str) -> set[int]:
        imp = request["imp"][number]
        found: set[int] = set()
        for body, keys in zip(self.kinds, self.members, strict=True):
            if wants(body, request, imp, exchange):
                found.update(keys)
        return found

    def check(self, dice: random.Random, request: dict[str, Any], exchange: str = "openx") -> int:
        """How many campaigns were found, over all imps."""
        assert self.reader.parse(json.dumps(request).encode()) == 0
        numbers = list(range(len(request["imp"])))
        order = [*dice.sample(numbers, len(numbers)), *dice.choices(numbers, k=2)]
        asked = [(number, dice.choice([None, None, 1, 700])) for number in order]
        each = self.matcher.matches_each(self.reader, EXCHANGES[exchange], NOW_S, asked)
        wanted = [self.wanted(request, number, exchange) for number in numbers]
        alone = [self.matcher.matches(self.reader, EXCHANGES[exchange], NOW_S, number) for number in numbers]
        for number, keys in enumerate(alone):
            assert set(keys) == wanted[number], f"imp {number} of {request}"
            assert len(keys) == len(wanted[number])
        for (number, most), keys in zip(asked, each, strict=True):
            assert keys == alone[number][:most]
        return sum(map(len, alone))


def in_runs(dice: random.Random, count: int) -> list[dict[str, Any]]:
    """Dearest first; the price falls from one to the next."""
    kinds: list[dict[str, Any]] = []
    while len(kinds) < count:
        kinds += [dice.choice(KINDS)] * dice.choice(RUNS)
    return [
        campaign(id=f"c-{n}", bid={"cpm_usd": f"{(count + 10_000 - n) / 1_000:.6f}"}, **kind)
        for n, kind in enumerate(kinds[:count])
    ]


@pytest.mark.parametrize("seed", range(4))
def test_runs_of_one_kind_are_found_as_one_by_one(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    compared = Compared(tmp_path / "book", in_runs(dice, dice.choice([2_500, 4_096, 5_001])))
    asked = [json.loads(body) for body in requests(60)]
    assert sum(compared.check(dice, altered(dice, request)) for request in asked) > 10_000


@pytest.mark.parametrize("kept", [1, 3])
def test_what_was_kept_of_few_blocks_is_worked_out_again(tmp_path: Path, kept: int) -> None:
    dice = random.Random(kept)
    compared = Compared(tmp_path / "book", in_runs(dice, 5_001), kept)
    asked = [json.loads(body) for body in requests(60)]
    assert sum(compared.check(dice, altered(dice, request)) for request in asked) > 10_000


def test_more_blocks_than_a_word_of_a_summary_has_bits(tmp_path: Path) -> None:
    dice = random.Random(64)
    compared = Compared(tmp_path / "book", in_runs(dice, 70 * BLOCK + 3))
    asked = [json.loads(body) for body in requests(25)]
    assert sum(compared.check(dice, altered(dice, request)) for request in asked) > 10_000


def test_a_lone_campaign_far_down_is_found_through_each_dimension(tmp_path: Path) -> None:
    """Nothing else accepts the imp: between the first blocks and its own there are only empty ones."""
    rare = {
        "country": ["ISL"],
        "deal": ["d-rare"],
        "cat": ["IAB9"],
        "os": ["webos"],
        "bundle": ["com.rare"],
        "zip": ["7"],
    }
    crowd = [campaign(id=f"x-{n}", targeting={"country": {"include": ["DEU"]}}) for n in range(66 * BLOCK)]
    low = [
        campaign(
            id=name, bid={"cpm_usd": "0.01"}, targeting={name: {"include": values}}, creatives=[creative(w=1, h=1)]
        )
        for name, values in rare.items()
    ]
    compared = Compared(tmp_path / "book", [*crowd, *low])
    request = {"id": "r", "imp": [{"id": "1", "banner": {"w": 1, "h": 1}, "secure": 1}]}
    for change in (
        {"device": {"geo": {"country": "ISL"}}},
        {"imp": [request["imp"][0] | {"pmp": {"deals": [{"id": "d-rare"}]}}]},  # type: ignore[operator]
        {"app": {"cat": ["IAB9-1"]}},
        {"device": {"os": "webOS"}},
        {"app": {"bundle": "com.Rare"}},
        {"device": {"geo": {"country": "DEU", "zip": "7"}}, "regs": {"gdpr": 0}},
    ):
        assert compared.check(random.Random(1), request | change) == 1


@pytest.mark.parametrize("kept", [256, 2])
def test_an_imp_finds_what_one_before_it_passed_over(tmp_path: Path, kept: int) -> None:
    """Few campaigns name the country, so that they are a list, in which the first imp has come further."""
    kinds = [{"targeting": {"country": {"include": ["DEU"]}, "deal": {"include": ["d-none"]}}}] * (9 * BLOCK)
    for block, deal in ((0, "d-none"), (4, "d-2"), (5, "d-3"), (6, "d-rare"), (8, "d-2")):
        kinds[block * BLOCK + 7] = {"targeting": {"country": {"include": ["ISL"]}, "deal": {"include": [deal]}}}
    prices = [f"{(20_000 - n) / 1_000:.3f}" for n in range(len(kinds))]
    found = [campaign(id=f"c-{n}", bid={"cpm_usd": prices[n]}, **kind) for n, kind in enumerate(kinds)]
    matcher, reader = Matcher(book(tmp_path / "book", found), kept), Reader()
    imps = [
        {"id": name, "banner": {"w": 300, "h": 250}, "pmp": {"deals": [{"id": name}]}}
        for name in ("d-rare", "d-2", "d-3", "d-9")
    ]
    request = {"id": "r", "imp": imps, "device": {"geo": {"country": "ISL"}}}
    assert reader.parse(json.dumps(request).encode()) == 0
    asked = [(0, None), (1, 1), (2, None), (3, None), (1, None), (0, None)]
    keys = [block * BLOCK + 8 for block in (6, 4, 5, 8)]
    wanted = [[keys[0]], [keys[1]], [keys[2]], [], [keys[1], keys[3]], [keys[0]]]
    assert matcher.matches_each(reader, EXCHANGES["openx"], NOW_S, asked) == wanted


def test_a_value_named_thousands_of_times_is_looked_at_once_in_each_block(tmp_path: Path) -> None:
    aims = [{"segment": {"any": ["a"], "none": ["b"]}}, {"segment": {"any": ["b", "c"]}}]
    matcher = Matcher(book(tmp_path / "book", [campaign(id=f"c-{n}", targeting=aims[n % 2]) for n in range(4 * BLOCK)]))
    reader = Reader()

    def postings(segments: list[str]) -> int:
        data = [{"segment": [{"id": name} for name in segments]}]
        request = {"id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], "user": {"data": data}}
        assert reader.parse(json.dumps(request).encode()) == 0
        assert len(matcher.matches(reader, EXCHANGES["openx"], NOW_S, 0)) == 2 * BLOCK
        return matcher.postings

    assert postings(["a", "c", "b"] * 5_000) == postings(["a", "c", "b"])


def test_bench_campaigns_with_rare_ones_among_them_are_found_as_one_by_one(tmp_path: Path) -> None:
    dice = random.Random(9)
    found = list(generated.campaigns(2_000))
    for n, body in enumerate(found[::4]):
        body |= json.loads(json.dumps(KINDS[n % len(KINDS)])) | {"id": body["id"]}
    compared = Compared(tmp_path / "book", found)
    asked = [json.loads(body) for body in requests(400)[::12]]
    assert sum(compared.check(dice, altered(dice, request), "generic") for request in asked) > 1_000
    assert sum(compared.check(dice, request, "generic") for request in asked) > 1_000
