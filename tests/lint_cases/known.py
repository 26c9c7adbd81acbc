"""What the bidder is known to do wrong, by the names of rules; it goes from here when it is mended."""

from collections.abc import Iterable

from bidder.openrtb.lint import Severity, Violation

KNOWN = {"dsa"}  # campaigns cannot declare what the Digital Services Act wants to know, and are bid where it must be


def objections(found: Iterable[Violation]) -> list[Violation]:
    """Errors that are news."""
    return [one for one in found if one.severity is Severity.ERROR and one.rule not in KNOWN]
