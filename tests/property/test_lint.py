"""The linter copes with any JSON on either side, and with any bytes for an answer."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bidder.openrtb.lint import RULES, Violation, lint
from bidder.openrtb.lint.shape import BID, RESPONSE, SEATBID
from tests.lint_cases.breaks import BREAKS
from tests.lint_cases.good import talk

MEDIA = ("banner", "video", "audio", "native")
ODD_NUMBERS = ["1e400", "-1e-400", "1e999999999", "1E-999999999", "123456789012345678901234567890", "0." + "3" * 60]
ODD_TEXTS = [
    "\ud800",
    "<VAST version='3.0'>",
    "{",
    "https://[",
    "1_0",
    "sNaN",
    "Infinity",
    "9" * 5_000,
    "\x00",
    "http:",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(ODD_TEXTS)
    | st.just(5_000).map(lambda digits: -(10**digits))
    | st.sampled_from([10**400, Decimal("1e999999"), Decimal("NaN"), Decimal("sNaN")])
)
NAMES = st.sampled_from(sorted({*BID, *SEATBID, *RESPONSE, "imp", "banner", "video", "native", "format", "w", "h"}))
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=6), inner, max_size=5),
    max_leaves=12,
)


def sane(found: list[Violation]) -> None:
    """Of the table, and fit to be printed."""
    for violation in found:
        assert violation.severity == RULES[violation.rule].severity
        assert (violation.path + violation.message).isascii()
        assert (violation.path + violation.message).isprintable()
        assert len(violation.message) < 600


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in it."""
    found: list[tuple[Any, Any]] = []
    for key, held in list(value.items() if isinstance(value, dict) else enumerate(value)):
        found.append((value, key))
        if isinstance(held, dict | list):
            found += places(held)
    return found


def as_json(value: Any) -> bytes:
    """As some writers would write it, NaN and lone surrogates included."""
    return json.dumps(value, default=str).encode()


@given(ANY, ANY)
def test_any_json_on_both_sides_is_judged(request: Any, response: Any) -> None:
    request = request if isinstance(request, dict) else {"imp": request}
    body = as_json(clipped(response))
    sane(lint(request, body))
    sane(lint(as_json(clipped(request)), body))


def clipped(value: Any) -> Any:
    """Integers that Python itself refuses to write are left out."""
    if isinstance(value, dict):
        return {key: clipped(held) for key, held in value.items()}
    if isinstance(value, list):
        return [clipped(held) for held in value]
    return 7 if isinstance(value, int) and value.bit_length() > 10_000 else value


@given(st.sampled_from(BREAKS), st.data())
def test_any_value_in_any_place_of_a_talk_is_judged(
    broken: tuple[str, str, dict[str, Any]], data: st.DataObject
) -> None:
    _, medium, changes = broken
    made = talk(medium, changes)
    for side in (made.request, made.response):
        for _ in range(data.draw(st.integers(0, 2))):
            somewhere = places(side)
            if somewhere:
                container, key = data.draw(st.sampled_from(somewhere))
                container[key] = clipped(data.draw(ANY)) if side is made.response else data.draw(ANY)
    if made.body is None:
        made.body = as_json(made.response)
    sane(made.violations())


@given(st.sampled_from(MEDIA), st.data())
def test_any_markup_is_judged(medium: str, data: st.DataObject) -> None:
    made = talk(medium, {"request.imp.0.secure": 1})
    bid = made.response["seatbid"][0]["bid"][0]
    adm = bid["adm"]
    start = data.draw(st.integers(0, len(adm)))
    end = data.draw(st.integers(start, len(adm)))
    bid["adm"] = adm[:start] + data.draw(st.text(max_size=8) | st.sampled_from(ODD_TEXTS)) + adm[end:]
    sane(made.violations())


@given(
    st.sampled_from(MEDIA), st.sampled_from([*ODD_NUMBERS]), st.sampled_from(["price", "dur", "w", "exp", "protocol"])
)
def test_any_number_is_judged(medium: str, number: str, field: str) -> None:
    made = talk(medium)
    bid = made.response["seatbid"][0]["bid"][0]
    bid[field] = "@"
    made.body = json.dumps(made.response).replace('"@"', number).encode()
    made.request["imp"][0]["bidfloor"] = Decimal(number)
    made.request["imp"][0][medium]["mincpmpersec"] = number
    sane(made.violations())


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 600))
def test_any_bytes_are_judged(request: bytes, response: bytes, status: int) -> None:
    sane(lint(request, response, status=status))
