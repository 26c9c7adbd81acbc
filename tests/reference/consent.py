"""The slow, obvious decision of consent: strings of bits as text, one law after the other.

`allowed(signals, vendor)` gives the names of what may be done that `Reader.view()["may"]` gives.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from bidder.settings import Consent

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LONGEST = 8_192
DISCLOSURE_FROM = datetime(2026, 3, 1, tzinfo=UTC).timestamp()

EVERYTHING = {"bid", "personalise", "identify", "sync", "log", "locate", "pinpoint"}
CONTEXT = {"bid", "locate", "log"}
NO_BASIS = {"bid", "locate"}
CHILD = {"bid"}
# Member states of the EU, then Iceland, Liechtenstein, Norway, then the United Kingdom.
UNION = """
    AUT BEL BGR HRV CYP CZE DNK EST FIN FRA DEU GRC HUN IRL ITA LVA LTU LUX MLT NLD POL PRT ROU SVK SVN ESP SWE
"""
EUROPE = {*UNION.split(), "ISL", "LIE", "NOR", "GBR"}


@dataclass
class Signals:
    """Of both places, what is named there."""

    gdpr: list[bool] = field(default_factory=list)
    coppa: bool = False
    gpc: bool = False
    limited: bool = False  # lmt, dnt, an ifa of zeros
    att: bool | None = None
    country: str | None = None
    us_privacy: list[str] = field(default_factory=list)
    gpp: list[str] = field(default_factory=list)
    sections: set[int] | None = None  # 0: which ones is not known; -1: none
    consent: list[str] = field(default_factory=list)


class Damaged(Exception):
    """The string is not what it should be."""


class Bits:
    def __init__(self, text: str) -> None:
        if any(c not in ALPHABET for c in text):
            raise Damaged
        self.bits = "".join(f"{ALPHABET.index(c):06b}" for c in text)

    def string(self, count: int) -> str:
        if count > len(self.bits):
            raise Damaged
        found, self.bits = self.bits[:count], self.bits[count:]
        return found

    def number(self, count: int) -> int:
        return int(self.string(count), 2)

    def numbers(self, count: int) -> set[int]:
        """Which of the next bits are set, the first being 1."""
        return {n for n, bit in enumerate(self.string(count), 1) if bit == "1"} if count else set()

    def ranges(self, entries: int) -> list[range]:
        found = []
        for _ in range(entries):
            several = self.number(1)
            first = self.number(16)
            last = self.number(16) if several else first
            if not 1 <= first <= last:
                raise Damaged
            found.append(range(first, last + 1))
        return found

    def has_vendor(self, vendor: int) -> bool:
        most, ranged = self.number(16), self.number(1)
        if ranged:
            return any(vendor in each for each in self.ranges(self.number(12)))
        return vendor in self.numbers(most)

    def fibonacci(self) -> int:
        before, weights, value = "0", (1, 2), 0
        for _ in range(16):
            bit = self.string(1)
            if bit == before == "1":
                return value
            value += weights[0] * int(bit)
            before, weights = bit, (weights[1], weights[0] + weights[1])
        raise Damaged


@dataclass
class Granted:
    purposes: set[int]
    precise_geo: bool
    forbidden: bool


def granted(text: str, us: Consent) -> Granted:
    """What a TC string grants us; Damaged where it says nothing that can be relied on."""
    if us.vendor_id == 0 or len(text) > LONGEST or any(c not in ALPHABET + "." for c in text):
        raise Damaged
    core, *others = text.split(".")
    bits = Bits(core)
    if bits.number(6) != 2:
        raise Damaged
    changed = max(bits.number(36), bits.number(36)) / 10
    bits.string(62)
    features, consented, not_objected = bits.numbers(12), bits.numbers(24), bits.numbers(24)
    bits.string(13)
    if not bits.has_vendor(us.vendor_id):
        consented = set()
    if not bits.has_vendor(us.vendor_id):
        not_objected = set()
    restrictions: dict[int, set[int]] = {}
    for _ in range(bits.number(12)):
        purpose, kind, entries = bits.number(6), bits.number(2), bits.number(12)
        if purpose == 0:
            raise Damaged
        if any(us.vendor_id in each for each in bits.ranges(entries)):
            restrictions.setdefault(purpose, set()).add(kind)
    disclosed = False
    for segment in others:
        more = Bits(segment)
        if more.bits[:3] == "001":
            more.string(3)
            disclosed |= more.has_vendor(us.vendor_id)
    disclosed |= changed < DISCLOSURE_FROM

    def has_basis(purpose: int) -> bool:
        kinds = restrictions.get(purpose, set())
        may_switch = purpose in us.flexible_purposes
        if kinds == {1}:
            return purpose in consented and (purpose in us.consent_purposes or may_switch)
        by_interest = purpose in not_objected and purpose not in (1, 3, 4, 5, 6)
        if kinds == {2}:
            return by_interest and (purpose in us.interest_purposes or may_switch)
        if kinds:
            return False
        return (purpose in consented and purpose in us.consent_purposes) or (
            by_interest and purpose in us.interest_purposes
        )

    return Granted(
        {purpose for purpose in range(1, 25) if disclosed and has_basis(purpose)},
        disclosed and us.precise_geo and 1 in features,
        restrictions.get(2, set()) not in (set(), {1}, {2}),
    )


def tcf(text: str, us: Consent) -> set[str]:
    try:
        found = granted(text, us)
    except Damaged:
        found = Granted(set(), False, False)
    if found.forbidden or not (us.contextual or 2 in found.purposes):
        return set()
    if not found.purposes & set(range(2, 11)):
        return NO_BASIS
    more = {"personalise": 4 in found.purposes, "sync": 1 in found.purposes, "log": 7 in found.purposes}
    return NO_BASIS | {"identify"} | {n for n, ok in (more | {"pinpoint": found.precise_geo}).items() if ok}


def us_privacy(text: str) -> set[str]:
    form = len(text) == 4 and text[0] == "1" and all(c in "YyNn-" for c in text[1:])
    return EVERYTHING if form and text[2] not in "Yy" else CONTEXT


# Per section: notices (v: about sensitive data), opt-outs, kinds of sensitive data, children, and how many answers
# stand between those and the mode of service provider.
US = {
    8: ("n n v", 2, 9, 2, 3),
    9: ("n n n", 2, 8, 1, 2),
    10: ("n n n", 2, 7, 1, 2),
    11: ("n n n v", 2, 8, 1, 2),
    12: ("n n n", 2, 8, 3, 2),
    13: ("n n n", 2, 8, 3, 3),
    14: ("n n n", 2, 8, 3, 3),
    15: ("n n n", 2, 11, 3, 3),
    16: ("n n n", 2, 8, 1, 3),
    17: ("n n n", 2, 9, 5, 3),
    18: ("n n n v", 2, 8, 1, 2),
    19: ("n n n", 2, 8, 1, 3),
    20: ("n n n", 2, 8, 3, 3),
    21: ("n n n", 2, 10, 5, 3),
    22: ("n n n", 2, 8, 1, 3),
    23: ("n n n", 2, 8, 1, 3),
}


def us_fields(number: int, wide: bool = True) -> list[str]:
    """What the answers of a US section are, in its order; `wide`: the national one since its lists grew."""
    if number >= 24:
        fields = ["covered", "mode", "notice", "notice", "notice", "opt-out", "opt-out"]
        return fields + ([] if number == 24 else ["child"]) + ["additional"]
    if number == 7:
        fields = ["notice"] * 4 + ["sensitive notice"] * 2 + ["opt-out"] * 3
        fields += ["sensitive"] * (16 if wide else 12) + ["child"] * (3 if wide else 2)
        return [*fields, "other", "other", "other", "service provider"]
    notices, optouts, sensitive, children, others = US[number]
    fields = [{"n": "notice", "v": "sensitive notice"}[n] for n in notices.split()] + ["opt-out"] * optouts
    return fields + ["sensitive"] * sensitive + ["child"] * children + ["other"] * others + ["service provider"]


def us_section(number: int, text: str) -> set[str]:
    """What a US section leaves."""
    if len(text) > LONGEST or any(c not in ALPHABET + "." for c in text):
        return CONTEXT
    segments = text.split(".")
    left, damaged = set(EVERYTHING), False
    try:
        bits = Bits(segments[0])
        wide = len(bits.bits) >= 70
        version = bits.number(6)
        if number >= 24 and len(segments) > 1 and version == number:
            version = bits.number(6)
            segments = segments[1:]
            bits = Bits(segments[0])
            bits.string(6)
        if version != 1 and not (number == 7 and version == 2 and wide):
            return CONTEXT
        for name in us_fields(number, wide):
            answer = bits.number(2)
            damaged |= answer == 3
            left &= answer_leaves(name, answer)
    except Damaged:
        damaged = True
    for segment in segments[1:]:
        left &= later_segment(segment)
    return left & CONTEXT if damaged else left


def answer_leaves(name: str, answer: int) -> set[str]:
    if name == "child" and answer in (1, 2):
        return CHILD
    if (name, answer) in (("notice", 2), ("opt-out", 1), ("service provider", 1), ("mode", 2)):
        return CONTEXT
    if (name, answer) in (("sensitive notice", 2), ("sensitive", 1)):
        return EVERYTHING - {"pinpoint", "personalise"}
    return EVERYTHING


def later_segment(segment: str) -> set[str]:
    bits = Bits(segment)
    try:
        if len(segment) <= 2:
            return EVERYTHING if bits.number(2) == 1 and bits.number(1) == 0 else CONTEXT
        answers = [bits.number(2) for _ in range(8)]
    except Damaged:
        return CONTEXT
    left = CONTEXT if 3 in answers else EVERYTHING
    return left - {"pinpoint", "personalise"} if 1 in answers else left


def gpp_sections(text: str) -> dict[int, str]:
    """The sections of a GPP string by id; Damaged where it does not hold what its header says."""
    header, *texts = text.split("~")
    if len(header) > LONGEST or "." in header:
        raise Damaged
    bits = Bits(header)
    if (bits.number(6), bits.number(6)) != (3, 1):
        raise Damaged
    ids: list[int] = []
    last = 0
    for _ in range(bits.number(12)):
        several = bits.number(1)
        first = last + bits.fibonacci()
        last = first + bits.fibonacci() if several else first
        ids += range(first, last + 1)
    if len(ids) != len(texts) or len(set(ids)) != len(ids) or "" in texts or any(n > 62 for n in ids):
        raise Damaged
    return dict(zip(ids, texts, strict=True))


def allowed(signals: Signals, us: Consent) -> set[str]:
    """Every law that applies takes away what it forbids."""
    left = set(EVERYTHING)
    if signals.coppa:
        left &= CHILD
    if signals.limited or signals.gpc or signals.att is False:
        left &= CONTEXT
    for text in signals.us_privacy:
        left &= us_privacy(text)
    named = signals.sections
    strings = list(signals.consent)
    european = (
        any(signals.gdpr)
        or (named is not None and 2 in named)
        or (not signals.gdpr and (signals.country in EUROPE if signals.country else bool(strings)))
    )
    if signals.gpp or named is not None:
        known = named is not None and 0 not in named
        applying = named - {-1, 3, 4} if known and named is not None else None  # None: all that there are
        present: set[int] = set()
        for text in signals.gpp:
            try:
                sections = gpp_sections(text)
            except Damaged:
                if applying is None or applying:
                    left &= CONTEXT
                continue
            present |= set(sections)
            for number, section in sections.items():
                if (applying is not None and number not in applying) or number in (3, 4):
                    continue
                if number == 2:
                    strings += [section] if european else []
                elif number == 6:
                    left &= us_privacy(section)
                elif 7 <= number <= 27:
                    left &= us_section(number, section)
                else:
                    left &= CONTEXT
        if applying and applying - present - {2} - ({6} if signals.us_privacy else set()):
            left &= CONTEXT
    if european:
        for string in strings:
            left &= tcf(string, us)
        if not strings:
            left &= NO_BASIS if us.contextual else set()
    return left
