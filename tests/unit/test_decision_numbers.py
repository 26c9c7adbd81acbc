"""Numbers that compiled code has of its own are those of the Python declarations."""

import re
from pathlib import Path

from bidder._fast.outcome import rank
from bidder.events.schema import Kind
from bidder.features import Feature
from bidder.money.tokens import FLAG_TEST, TokenClass
from bidder.outcome import NEARNESS, Reason

FAST = Path(__file__).parents[2] / "bidder" / "_fast"


def constants(name: str, prefix: str) -> dict[str, int]:
    found = re.findall(
        rf"^    {prefix}_(\w+) = (\w+)", (FAST / f"{name}.pxd").read_text(encoding="utf-8"), re.MULTILINE
    )
    return {constant: int(number, 0) for constant, number in found}


def test_reasons_are_those_of_outcome() -> None:
    assert constants("outcome", "REASON") == {reason.name: int(reason) for reason in Reason}


def test_every_reason_has_one_rank_and_compiled_code_knows_it() -> None:
    assert sorted(NEARNESS) == sorted(Reason)
    assert [rank(reason) for reason in NEARNESS] == list(range(len(Reason)))
    assert all(reason.rank == rank(reason) for reason in Reason)


def test_features_are_those_of_their_declaration() -> None:
    assert constants("features", "FEATURE") == {feature.name: int(feature) for feature in Feature}


def test_kinds_of_counters_are_those_of_the_schema() -> None:
    assert constants("counters", "COUNT") == {kind.name: int(kind) for kind in Kind}


def test_classes_and_flags_of_tokens_are_those_of_their_face() -> None:
    assert constants("tokens", "CLASS") == {token_class.name: int(token_class) for token_class in TokenClass}
    assert constants("tokens", "FLAG") == {"TEST": FLAG_TEST}
