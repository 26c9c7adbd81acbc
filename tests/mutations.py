"""Damaged requests: one place of a real one dropped, nulled, retyped or doubled, at any depth; and what must hold.

    python -m tests.mutations [--each N] [--seed N] [--corpus FILE]

Never a 5xx, a 400 only for what is no JSON object, never an answer that breaks a rule, a reason for every no-bid. The
command damages each request of the corpus `--each` times (default: 20) and prints what broke.
"""

import argparse
import copy
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bidder.outcome import Reason
from tests.conftest import corpus_path
from tests.explained import CREATIVES, FORMATS
from tests.worlds import World, campaign

OTHER_TYPES: list[Any] = [
    None, True, False, 0, 1, -1, 2**40, 10**30, -0.5, "", "x", "7", "1e400", "\U0001f600", [], {}, [None], [[]], [{}],
    {"id": 1}, ["IAB1", None, 3], "USD", [{"w": 300, "h": 250}],
]  # fmt: skip
KINDS = ("dropped", "nulled", "retyped", "doubled", "swapped")
CAMPAIGNS = [
    *FORMATS,
    campaign("plain", "3", creatives=CREATIVES),
    campaign("bundle", "4", creatives=[one | {"bundle": "com.acme.app", "language": "en"} for one in CREATIVES]),
    campaign("attr", "5", creatives=[one | {"attr": [1, 3], "api": [5]} for one in CREATIVES]),
    campaign("deal", "6", creatives=CREATIVES, targeting={"deal": {"include": ["1234", "deal-1", "deal1", "id", "7"]}}),
    campaign("near", "7", creatives=CREATIVES, targeting={"country": {"include": ["USA"]}, "osv": {"min": "9"}}),
    campaign("capped", "8", creatives=CREATIVES, frequency=[{"impressions": 2, "per_s": 60}]),
]  # fmt: skip
FUNDS = 10**17


class Twice(dict[str, Any]):
    """An object that says one of its keys twice."""

    def __init__(self, members: dict[str, Any], key: str, value: Any) -> None:
        super().__init__(members)
        self._more = (key, value)

    def items(self) -> Any:
        return [*super().items(), self._more]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of everything inside."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def mutated(dice: random.Random, document: Any) -> bytes:
    """One place of it changed."""
    found = list(places(document))
    if not found:
        return json.dumps(dice.choice(OTHER_TYPES)).encode()
    *way, key = dice.choice(found)
    kind = dice.choice(KINDS)
    root = {"": copy.deepcopy(document)}
    above: Any = root
    last: Any = ""
    for step in way:
        above, last = above[last], step
    holder = above[last]
    if kind == "dropped":
        del holder[key]
    elif kind == "nulled":
        holder[key] = None
    elif kind == "retyped":
        holder[key] = copy.deepcopy(dice.choice(OTHER_TYPES))
    elif kind == "swapped":
        there = root[""]
        for step in dice.choice(found):
            there = there[step]
        holder[key] = copy.deepcopy(there)
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        above[last] = Twice(holder, key, copy.deepcopy(dice.choice([holder[key], *OTHER_TYPES])))
    return json.dumps(root[""], ensure_ascii=dice.random() < 0.5).encode()


class Bench:
    """A world that everything is asked of, and what broke in it."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory, CAMPAIGNS)
        for body in CAMPAIGNS:
            self.world.fund(body["id"], FUNDS)
        self.statuses: Counter[int] = Counter()
        self.reasons: Counter[str] = Counter()
        self.broken: list[tuple[Any, bytes]] = []

    def ask(self, body: bytes) -> None:
        try:
            answer = self.world.ask(body)
        except AssertionError as error:
            self.world.drain()
            self.broken.append((error, body))
            return
        self.statuses[answer.status] += 1
        if answer.status not in (200, 204) and isinstance(json.loads(body), dict):
            self.broken.append((answer.status, body))
        if answer.rows and answer.status != 200:
            reason = Reason(answer.reason or 0)
            self.reasons[reason.name] += 1
            if reason in (Reason.NONE, Reason.BROKEN):
                self.broken.append((reason, body))


def run(bench: Bench, lines: list[bytes], each: int, seed: int) -> None:
    """`each` mutations of every request."""
    dice = random.Random(seed)
    for line in lines:
        document = json.loads(line)
        for _ in range(each):
            bench.ask(mutated(dice, document))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--each", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--corpus", type=Path, default=corpus_path(), metavar="FILE", help="requests, one a line")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch))
        run(bench, args.corpus.read_bytes().splitlines(), args.each, args.seed)
    print(f"{bench.statuses.total()} requests: {dict(bench.statuses)}, no-bids by reason: {dict(bench.reasons)}")
    for what, body in bench.broken[:20]:
        print(what, body.decode(errors="replace")[:2_000], file=sys.stderr)
    print(f"{len(bench.broken)} broken")
    return 1 if bench.broken else 0


if __name__ == "__main__":
    sys.exit(main())
