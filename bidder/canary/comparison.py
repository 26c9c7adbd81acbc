"""Arms of an experiment, held against its first one: the judge's test on what rollups have of them, minute by minute.

minutes of both arms -> compare() -> findings: the true difference lies within low..high, however often one looks
Nothing is rolled back by it: an experiment ends when somebody stops it. Alpha is shared out among measures and arms.
Of users who come again rollups know nothing, only how minutes scatter: what one user's requests have alike is not seen.
"""

from collections.abc import Iterable

from bidder.canary.judge import Finding, Judge, Rules
from bidder.canary.measures import Measure, Worse
from bidder.canary.second import Second

ALPHA = 0.05
LEAST_MIN = 10  # minutes before a measure speaks
SAYS = {"worse": "differs", "not worse": "alike", "open": "open"}


def _spend(minute: Second) -> tuple[int, float, float | None]:
    """Rollups have no squares of single amounts: a minute is one trial, its mean what that brought."""
    if not minute.requests:
        return 0, 0.0, 0.0
    mean = minute.spent * 1e3 / minute.requests
    return 1, mean, mean * mean


MEASURES = (
    Measure("bid rate", lambda s: (s.requests, s.filled, None), Worse.EITHER, 0.4, 0.05, slight=0.005),
    Measure("win rate", lambda s: (s.bids, s.wins, None), Worse.EITHER, 0.3, 0.05, slight=0.005),
    Measure("spend per thousand requests", _spend, Worse.EITHER, 0.3, 0.05, slight=0.005),
)
"""Spend in nano-USD; `margin`: within that part of the first arm's mean they are alike."""


def compare(minutes: Iterable[tuple[Second, Second]], others: int) -> list[Finding]:
    """Of (arm, first arm) by minute; `others`: arms that the first one is compared with. `says`: see SAYS."""
    judge = Judge(Rules(alpha=ALPHA / others, least_s=LEAST_MIN), MEASURES)
    for arm, first in minutes:
        judge.hear(arm, first)
    return [finding._replace(says=SAYS[finding.says]) for finding in judge.verdict().findings]
