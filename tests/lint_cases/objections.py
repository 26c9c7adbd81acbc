"""What an exchange would object to in an answer."""

from collections.abc import Iterable

from bidder.openrtb.lint import Severity, Violation


def objections(found: Iterable[Violation]) -> list[Violation]:
    """Those for which it would drop the bid, or the answer."""
    return [one for one in found if one.severity is Severity.ERROR]
