"""Writes TC strings and GPP strings, well-formed ones, from what they should say."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.reference.consent import ALPHABET, us_fields

BEFORE_DISCLOSURE = datetime(2025, 6, 1, 12, tzinfo=UTC)
SINCE_DISCLOSURE = datetime(2026, 3, 1, tzinfo=UTC)
ALL_PURPOSES = range(1, 12)


def base64url(bits: str) -> str:
    """Padded with zeros to whole bytes, as encoders of bytes leave it."""
    bits += "0" * (-len(bits) % 8)
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[n : n + 6], 2)] for n in range(0, len(bits), 6))


def number(value: int, width: int) -> str:
    assert 0 <= value < 1 << width
    return f"{value:0{width}b}"


def letters(text: str) -> str:
    return "".join(number(ord(c) - ord("A"), 6) for c in text)


def field(members: Iterable[int], width: int) -> str:
    """A bit for each number from 1."""
    wanted = set(members)
    return "".join(str(int(n in wanted)) for n in range(1, width + 1))


def ranges(members: Iterable[tuple[int, int]]) -> str:
    """Each a single vendor or several."""
    return "".join(
        "0" + number(first, 16) if first == last else "1" + number(first, 16) + number(last, 16)
        for first, last in members
    )


def runs(members: Collection[int]) -> list[tuple[int, int]]:
    """The members as ranges without gaps."""
    found: list[tuple[int, int]] = []
    for n in sorted(set(members)):
        if found and found[-1][1] == n - 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


def vendors(members: Collection[int], ranged: bool) -> str:
    most = max(members, default=0)
    if not ranged:
        return number(most, 16) + "0" + field(members, most)
    return number(most, 16) + "1" + number(len(runs(members)), 12) + ranges(runs(members))


@dataclass(frozen=True)
class Restriction:
    """0: the purpose is not allowed; 1: consent is required; 2: legitimate interest is."""

    purpose: int
    kind: int
    vendors: Sequence[tuple[int, int]]


def tc_string(
    *,
    version: int = 2,
    created: datetime = BEFORE_DISCLOSURE,
    updated: datetime | None = None,
    features: Collection[int] = (),
    consent: Collection[int] = (),
    interest: Collection[int] = (),
    vendor_consent: Collection[int] = (),
    vendor_interest: Collection[int] = (),
    restrictions: Sequence[Restriction] = (),
    disclosed: Collection[int] | None = None,
    allowed: Collection[int] | None = None,
    publisher: Collection[int] | None = None,
    ranged: bool = False,
) -> str:
    """What CMPs write. `disclosed`, `allowed`, `publisher`: segments behind the core, where not None."""
    core = number(version, 6)
    for moment in (created, updated or created):
        core += number(int(moment.timestamp() * 10), 36)
    core += number(300, 12) + number(2, 12) + number(1, 6) + letters("EN") + number(48, 12) + number(4, 6) + "10"
    core += field(features, 12) + field(consent, 24) + field(interest, 24) + "0" + letters("DE")
    core += vendors(vendor_consent, ranged) + vendors(vendor_interest, ranged)
    core += number(len(restrictions), 12)
    for rule in restrictions:
        core += number(rule.purpose, 6) + number(rule.kind, 2) + number(len(rule.vendors), 12) + ranges(rule.vendors)
    segments = [core]
    if disclosed is not None:
        segments.append(number(1, 3) + vendors(disclosed, ranged))
    if allowed is not None:
        segments.append(number(2, 3) + vendors(allowed, ranged))
    if publisher is not None:
        segments.append(number(3, 3) + field(publisher, 24) + field((), 24) + number(0, 6))
    return ".".join(map(base64url, segments))


def agreed(vendor: int, **changes: object) -> str:
    """Everything granted to this vendor, as TCF 2.3 writes it."""
    said: dict[str, object] = {
        "created": SINCE_DISCLOSURE,
        "features": (1, 2),
        "consent": ALL_PURPOSES,
        "interest": ALL_PURPOSES,
        "vendor_consent": (2, vendor, vendor + 2),
        "vendor_interest": (3, vendor),
        "disclosed": (2, 3, vendor),
        "ranged": True,
    }
    return tc_string(**(said | changes))  # type: ignore[arg-type]


def fibonacci(value: int) -> str:
    """Ones for the Fibonacci numbers that add up to the value, smallest first, and a one behind them."""
    weights = [1, 2]
    while weights[-1] <= value:
        weights.append(weights[-1] + weights[-2])
    bits = ""
    for weight in reversed(weights):
        if weight <= value:
            value -= weight
            bits = "1" + bits
        elif bits:
            bits = "0" + bits
    return bits + "1"


def id_ranges(ids: Collection[int]) -> str:
    """A GPP `Range(Fibonacci)`: every number as the distance to the last one."""
    bits, last = number(len(runs(ids)), 12), 0
    for first, end in runs(ids):
        bits += str(int(first != end)) + fibonacci(first - last)
        bits += fibonacci(end - first) if first != end else ""
        last = end
    return bits


def gpp_string(sections: Mapping[int, str]) -> str:
    header = base64url(number(3, 6) + number(1, 6) + id_ranges(sections))
    return "~".join([header, *(sections[n] for n in sorted(sections))])


def us_string(
    section: int,
    answers: Mapping[str, int] | None = None,
    *,
    version: int = 1,
    wide: bool = True,
    gpc: bool | None = None,
    header: bool = False,
) -> str:
    """A US section: notices given, nothing opted out of, unless `answers` says otherwise for all fields of a name."""
    usual = {"notice": 1, "sensitive notice": 1, "opt-out": 2, "other": 2, "service provider": 2, "covered": 2}
    said = usual | dict(answers or {})
    bits = number(version, 6) + "".join(number(said.get(name, 0), 2) for name in us_fields(section, wide))
    segments = [base64url(bits)]
    if header:
        segments.insert(
            0, base64url(number(section, 6) + number(version, 6) + id_ranges([1] if gpc is not None else []))
        )
    if gpc is not None:
        segments.append(base64url("01" + str(int(gpc))))
    return ".".join(segments)
