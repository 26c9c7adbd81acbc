"""The corpus, damaged: a seeded sample of what `python -m tests.mutations` runs longer."""

import json
import random
from pathlib import Path

from tests.mutations import KINDS, Bench, mutated, places, run
from tests.worlds import request

EACH = 8


def test_no_damage_of_a_real_request_gets_an_answer_that_breaks_a_rule(tmp_path: Path, corpus: list[bytes]) -> None:
    bench = Bench(tmp_path)
    run(bench, corpus, EACH, seed=20)
    assert not bench.broken, bench.broken[:3]
    assert set(bench.statuses) <= {200, 204, 400}
    assert bench.statuses[200] > len(corpus) / 4, bench.statuses
    assert len(bench.reasons) >= 8, bench.reasons


def test_damage_reaches_every_depth_and_every_kind_is_done() -> None:
    document = request(user={"data": [{"segment": [{"id": "s"}]}]})
    dice = random.Random(1)
    bodies = [mutated(dice, document) for _ in range(400)]
    assert all(isinstance(json.loads(body), dict) for body in bodies)
    assert max(map(len, places(document))) == 6
    assert any(b'"id": "s", "id"' in body for body in bodies), "a key twice"
    assert any(b'"segment": null' in body for body in bodies)
    assert any(b'"data": []' in body or b'"segment": []' in body for body in bodies), "dropped or retyped"
    assert any(body.count(b'"segment"') == 2 for body in bodies), "an item twice"
    assert len(KINDS) == 5
