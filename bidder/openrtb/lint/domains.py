"""Domains and categories: is one equal to an entry of a list, or below it?"""

from collections.abc import Iterable


def any_below(domain: str, entries: Iterable[str]) -> bool:
    """`shop.acme.example` is below `acme.example`; without case."""
    dotted = f".{domain}".lower()
    return any(dotted.endswith(f".{entry}".lower()) for entry in entries)


def any_covers(category: str, entries: Iterable[str]) -> bool:
    """`IAB25` covers `IAB25-3`; without case."""
    dashed = f"{category}-".upper()
    return any(dashed.startswith(f"{entry}-".upper()) for entry in entries)
