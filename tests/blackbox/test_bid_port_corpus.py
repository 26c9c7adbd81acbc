"""Real requests, as they are and damaged: what can be served is bid on, nothing is answered against the rules.

The truth is tests/reference/matcher.py over examples/campaigns.jsonl; campaigns with a frequency cap or even pacing are
left aside, as what they may do depends on more than the request.
"""

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bidder.openrtb.lint import Violation, lint
from tests.blackbox.bid_port import Answer, Asker, Json
from tests.hosts import EXAMPLES, Host
from tests.lint_cases.objections import objections
from tests.reference import matcher, request

pytestmark = pytest.mark.blackbox

EXCHANGES = ("generic", "openx", "pubmatic", "xandr", "google")
SEAT = "outbid"
LEAST_SERVED, LEAST_SERVABLE = 0.95, 0.25
DAMAGED = 3_000
OTHER_TYPES: list[Any] = [None, True, False, 0, -1, 2**40, 1.5, "", "x", "7", [], {}, [None], [[]], [{}], {"id": 1}]


def exchange_of(n: int) -> str:
    return EXCHANGES[n % len(EXCHANGES)]


def ask_all(host: Host, bodies: list[bytes]) -> list[Answer]:
    """On one connection, which none of them may cost."""
    with Asker(host.base) as asker:
        return [asker.send("POST", f"/bid/{exchange_of(n)}", body) for n, body in enumerate(bodies)]


def all_objections(bodies: list[bytes], answers: list[Answer]) -> list[tuple[Violation, bytes]]:
    return [
        (violation, body)
        for body, answer in zip(bodies, answers, strict=True)
        for violation in objections(lint(body, answer.body, status=answer.status, headers=answer.headers))
    ]


@pytest.fixture(scope="module")
def answers(host: Host, corpus: list[bytes]) -> list[Answer]:
    """To every request of the corpus."""
    return ask_all(host, corpus)


def test_no_validator_objects_to_any_answer_to_real_requests(corpus: list[bytes], answers: list[Answer]) -> None:
    found = all_objections(corpus, answers)
    assert not found, found[:3]


def test_what_the_examples_can_serve_is_bid_on(
    corpus: list[bytes], answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [json.loads(body) for body in corpus]
    read_once(monkeypatch)
    campaigns = [json.loads(line) for line in EXAMPLES.read_text(encoding="utf-8").splitlines()]
    free = [one for one in campaigns if not one.get("frequency") and one.get("budget", {}).get("pacing") != "even"]
    free.sort(
        key=lambda one: len(one.get("targeting", {}))
    )  # those that accept most come first: the search ends sooner
    now = datetime.now(UTC)
    servable = [n for n, document in enumerate(documents) if servers(free, document, exchange_of(n), now)]
    missed = [n for n in servable if answers[n].status != 200]
    bids = sum(answer.status == 200 for answer in answers)
    figures = (
        f"{len(corpus)} requests, {len(servable)} can be served, {len(servable) - len(missed)} of those are bid on, "
        f"{bids} in all"
    )
    assert len(servable) >= LEAST_SERVABLE * len(corpus), figures
    assert len(missed) <= (1 - LEAST_SERVED) * len(servable), (figures, [corpus[n] for n in missed[:3]])


def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference reads a request again for every campaign; here once. For values that live as long as the patch."""
    for name, read in (("view", request.view), ("view_imp", request.view_imp)):
        known: dict[int, Json] = {}

        def remembered(value: Json, known: dict[int, Json] = known, read: Callable[[Json], Json] = read) -> Json:
            return known.get(id(value)) or known.setdefault(id(value), read(value))

        monkeypatch.setattr(matcher, name, remembered)


def servers(campaigns: list[Json], document: Json, exchange: str, now: datetime) -> bool:
    """Can any of them serve any imp of it?"""
    for imp in [imp for imp in document.get("imp") or [] if isinstance(imp, dict)]:
        own = request.view_imp(imp)
        for one in campaigns:
            fitting = [c for c in one["creatives"] if matcher.size_fits(c["w"], c["h"], own)]
            if any(matcher.can_serve(one, c, document, imp, exchange, SEAT, now) is None for c in fitting) and (
                matcher.accepts(one, document, imp, exchange, now) is None
            ):
                return True
    return False


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in it."""
    found = []
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, held in items:
        found.append((value, key))
        if isinstance(held, dict | list):
            found += places(held)
    return found


def damaged(body: bytes, dice: random.Random) -> bytes:
    """One to three fields dropped, nulled or of another type."""
    document = json.loads(body)
    for _ in range(dice.choice([1, 1, 2, 3])):
        everywhere = places(document)
        if not everywhere:
            break
        container, key = dice.choice(everywhere)
        if dice.random() < 0.3:
            del container[key]
        else:
            container[key] = copy.deepcopy(dice.choice(OTHER_TYPES))
    return json.dumps(document).encode()


def test_damaged_requests_are_answered_by_the_rules(host: Host, corpus: list[bytes]) -> None:
    dice = random.Random(5)
    bodies = [damaged(dice.choice(corpus), dice) for _ in range(DAMAGED)]
    workers = host.pids("worker")
    answers = ask_all(host, bodies)
    found = all_objections(bodies, answers)
    assert not found, found[:3]
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 204}, statuses
    assert host.pids("worker") == workers
