"""Metrics: families of samples, and the text that Prometheus reads (format 0.0.4).

Family("outbid_bids_total", COUNTER, "Bids sent.", ("exchange", "arm")).add(5, "openx", "stable") -> render([...])
Labels are of few values, all known beforehand: exchanges, arms, reasons, roles, seats. Never of a campaign or a person.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST = 2_000  # series of one family; what comes after them is counted in one series whose labels are all OTHER
OTHER = "other"

Kind = Literal["counter", "gauge", "histogram"]
COUNTER: Kind = "counter"
GAUGE: Kind = "gauge"
Labels = tuple[str, ...]


class Family:
    """One metric, by its labels."""

    kind: Kind

    def __init__(self, name: str, kind: Kind, text: str, labels: Labels = ()) -> None:
        """`text`: one sentence for whoever reads it in Prometheus."""
        self.name = name
        self.kind = kind
        self.text = text
        self.labels = labels
        self.values: dict[Labels, float] = {}

    def set(self, value: float, *labels: str) -> None:
        """The value now."""
        self.values[self._key(labels)] = value

    def add(self, value: float, *labels: str) -> None:
        """So much more."""
        key = self._key(labels)
        self.values[key] = self.values.get(key, 0) + value

    def _key(self, labels: Labels) -> Labels:
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {labels}")
        return labels if labels in self.values or len(self.values) < MOST else (OTHER,) * len(labels)

    def samples(self) -> Iterator[tuple[str, Labels, Labels, float]]:
        """Name, names of the labels, labels, value: as lines of the text."""
        for labels, value in self.values.items():
            yield self.name, self.labels, labels, value


def gauge(name: str, text: str, value: float) -> Family:
    """A gauge without labels, and its value."""
    family = Family(name, GAUGE, text)
    family.set(value)
    return family


def counter(name: str, text: str, value: float) -> Family:
    """A counter without labels, and what it has come to."""
    family = Family(name, COUNTER, text)
    family.set(value)
    return family


class Histogram:
    """How often what was measured fell into which bucket. `bounds`: the upper ends of the buckets, which rise."""

    kind: Kind = "histogram"

    def __init__(self, name: str, text: str, bounds: tuple[float, ...], labels: Labels = ()) -> None:
        self.name = name
        self.text = text
        self.labels = labels
        self.bounds = bounds
        self.buckets: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}

    def add(self, bucket: int, n: int, total: float, *labels: str) -> None:
        """`n` more in that bucket (one that is past the last bound has none but +Inf), `total` together."""
        counts = self.buckets.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[min(bucket, len(self.bounds))] += n
        self.sums[labels] = self.sums.get(labels, 0.0) + total

    def samples(self) -> Iterator[tuple[str, Labels, Labels, float]]:
        """Likewise; buckets hold what is in the ones below them, too."""
        for labels, counts in self.buckets.items():
            total = 0
            for bound, n in zip((*self.bounds, math.inf), counts, strict=True):
                total += n
                yield f"{self.name}_bucket", (*self.labels, "le"), (*labels, number(bound)), total
            yield f"{self.name}_sum", self.labels, labels, self.sums[labels]
            yield f"{self.name}_count", self.labels, labels, total


AnyFamily = Family | Histogram


def number(value: float) -> str:
    """As the format writes it."""
    if value == math.inf:
        return "+Inf"
    if value == -math.inf:
        return "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def render(families: Iterable[AnyFamily]) -> bytes:
    """The whole answer to a scrape. A family without samples is still named: it exists, and nothing happened yet."""
    lines = []
    for family in families:
        text = family.text.replace("\\", r"\\").replace("\n", r"\n")
        lines.append(f"# HELP {family.name} {text}\n# TYPE {family.name} {family.kind}\n")
        for name, names, labels, value in family.samples():
            pairs = ",".join(f'{of}="{_escaped(label)}"' for of, label in zip(names, labels, strict=True))
            lines.append(f"{name}{{{pairs}}} {number(value)}\n" if pairs else f"{name} {number(value)}\n")
    return "".join(lines).encode()
