"""What is worked out once for many requests changes nothing: a matcher with classes and one that works out everything.

Matchers of one book share its classes and what it remembers of texts, as those of a worker's desks do; one that is
`plain` has no classes. More classes come than a book has room for, and matchers stand on theirs meanwhile.
"""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.matcher import Matcher
from bidder._fast.request import Reader
from tests.books import book, campaign

NOW_S = 1_790_000_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
COUNTRIES = ["".join(three) for three in itertools.product(LETTERS, "AB", "CD")]
CITIES = [
    "Reykjavík",
    "reykjavik",
    "KØBENHAVN",
    "Kelvin",
    "\u212aelvin",
    "oslo",
    "Llanfairpwllgwyngyll-by-the-sea",
    "x",
]
OTHERS = ["", "O", "OS", "Oslo\u0000", "oslo ", "OSLO", "llanfairpwllgwyngyll-by-the-sea", "none of these cities"]
MODELS = ["Pixel 7", "iPhone14,3", "SM-G991B/DS with a longer name", "tv", "1234567890123456", "12345678901234567"]


def targeting(dice: random.Random) -> dict[str, Any]:
    """Much of what classes are made of, and texts of all lengths."""
    found: dict[str, Any] = {}
    if dice.randrange(2):
        found["country"] = {dice.choice(["include", "exclude"]): dice.sample(COUNTRIES, 30)}
    if dice.randrange(3) == 0:
        found["device_type"] = {dice.choice(["include", "exclude"]): dice.sample(range(1, 8), 2)}
    if dice.randrange(4) == 0:
        found["inventory"] = {"include": [dice.choice(["site", "app"])]}
    if dice.randrange(4) == 0:
        found["exchange"] = {"include": dice.sample(["openx", "generic", "pubmatic"], 2)}
    if dice.randrange(5) == 0:
        found["user_id"] = dice.choice(["required", "forbidden"])
    if dice.randrange(4) == 0:
        found["city"] = {dice.choice(["include", "exclude"]): dice.sample(CITIES, 3)}
    if dice.randrange(4) == 0:
        found["model"] = {dice.choice(["include", "exclude"]): dice.sample(MODELS, 2)}
    if dice.randrange(6) == 0:
        found["cat"] = {"include": ["IAB9", "IAB1-3"]}
    return found


def request(dice: random.Random, country: str) -> dict[str, Any]:
    geo = {"country": country, "city": dice.choice(CITIES + OTHERS)}
    device = {
        "geo": geo,
        "devicetype": dice.choice([0, 1, 2, 4, 5, 255, 256, 70_000]),
        "model": dice.choice(MODELS + OTHERS),
    }
    return {
        "id": "r",
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}, {"id": "2", "banner": {"w": 320, "h": 50}}],
        "device": device,
        dice.choice(["site", "app"]): {"cat": [dice.choice(["IAB9-30", "IAB1", "IAB1-3", "IAB9"])]},
        "user": {"id": "u-1"} if dice.randrange(2) else {},
    }


@pytest.mark.parametrize("seed", range(4))
def test_requests_of_one_class_find_what_each_would_find_alone(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    count = dice.choice([3, 511, 5_000])
    one = book(tmp_path / "book", [campaign(id=f"c-{n}", targeting=targeting(dice)) for n in range(count)])
    matchers = [Matcher(one) for _ in range(5)]
    plain = Matcher(one)
    plain.plain = True
    usual, found = dice.sample(COUNTRIES, 3), 0
    for number in range(700):
        country = dice.choice(usual) if number % 2 else COUNTRIES[number % len(COUNTRIES)]
        reader, exchange = Reader(), dice.choice([1, 2, 3, 255])
        assert reader.parse(json.dumps(request(dice, country), ensure_ascii=False).encode()) == 0
        for imp in dice.sample([0, 1], 2):
            keys = matchers[number % 5].matches(reader, exchange, NOW_S, imp)
            assert keys == plain.matches(reader, exchange, NOW_S, imp)
            found += len(keys)
    assert found > 100


def test_a_matcher_that_goes_leaves_its_class_to_others(tmp_path: Path) -> None:
    dice = random.Random(1)
    one = book(tmp_path / "book", [campaign(id=f"c-{n}", targeting=targeting(dice)) for n in range(40)])
    plain = Matcher(one)
    plain.plain = True
    reader = Reader()
    for number in range(3_000):  # more than there are classes; each stands on one when it goes
        assert reader.parse(json.dumps(request(dice, COUNTRIES[number % len(COUNTRIES)])).encode()) == 0
        exchange = number % 200
        assert Matcher(one).matches(reader, exchange, NOW_S, 0) == plain.matches(reader, exchange, NOW_S, 0)
