"""The linter: what exchanges and validators object to in an answer. `lint` is the door, RULES the table."""

from bidder.openrtb.lint.profile import GENERIC, Profile
from bidder.openrtb.lint.rules import RULES, Rule, Severity, Violation
from bidder.openrtb.lint.transport import lint

__all__ = ["GENERIC", "RULES", "Profile", "Rule", "Severity", "Violation", "lint"]
