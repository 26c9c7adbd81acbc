"""How often the judge is wrong, and how soon it is right: canaries by the thousand, a verdict every second.

    scripts/simulate canaries [--canaries N] [--rate REQUESTS_PER_S]

A table: how many canaries of each kind were rolled back, promoted or neither, and after how long; beside it what a
z test at 1.96 on the bid rate would have rolled back by then, looked at every second. Seeds 0 to N - 1: the same
figures each time.
"""

import argparse
import math
import statistics
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice

from bidder.canary.judge import Judge, Rules, Verdict, Word
from bidder.canary.second import Second
from tests.arms import Build, arms

EQUAL = Build()
KINDS: dict[str, tuple[Build, Build]] = {  # canary, baseline
    "equal": (EQUAL, EQUAL),
    "equal, in bursts": (Build(burst=0.3), Build(burst=0.3)),
    "equal, 2,000 users": (Build(users=2_000), Build(users=2_000)),
    "bid rate -2 %": (Build(bid=0.588), EQUAL),
    "bid rate -5 %": (Build(bid=0.57), EQUAL),
    "bid rate -10 %": (Build(bid=0.54), EQUAL),
    "bid rate -50 %": (Build(bid=0.3), EQUAL),
    "price +10 %": (Build(price=1.1), EQUAL),
    "win rate -30 %": (Build(win=0.14), EQUAL),
    "2 % errors": (Build(error=0.02), EQUAL),
    "2 % late": (Build(late=0.02), EQUAL),
    "10 % errors": (Build(error=0.1), EQUAL),
}
LEAST_S = 10  # as the judge, the z test does not speak before


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one canary; `z_s`: when the z test would have rolled back."""

    verdict: Verdict
    z_s: int | None


class ZTest:
    """Two rates, looked at every second: what is not to be done."""

    def __init__(self) -> None:
        self.at_s: int | None = None
        self._now = 0
        self._of = [[0, 0], [0, 0]]  # filled, requests; canary, baseline

    def hear(self, pair: tuple[Second, Second]) -> None:
        """The next second of both arms."""
        self._now += 1
        for sums, second in zip(self._of, pair, strict=True):
            sums[0] += second.filled
            sums[1] += second.requests
        (ours, n), (theirs, m) = self._of
        pooled = (ours + theirs) / max(1, n + m)
        error = math.sqrt(pooled * (1 - pooled) * (1 / max(1, n) + 1 / max(1, m)))
        if self.at_s is None and self._now >= LEAST_S and error and abs(ours / n - theirs / m) > 1.96 * error:
            self.at_s = self._now


def judged(
    seed: int, canary: Build, baseline: Build | None = None, most_s: int = 600, rate: float = 100.0, users: bool = True
) -> Outcome:
    """One canary, with a verdict after every second. `users` False: the judge does not hear of groups."""
    judge, z = Judge(Rules(most_s=most_s)), ZTest()
    verdict = judge.verdict()
    for pair in islice(arms(seed, canary, baseline, rate), most_s):
        if not users:
            for second in pair:
                second.groups = {}
        z.hear(pair)
        judge.hear(*pair)
        verdict = judge.verdict()
        if verdict.word is not Word.GO_ON:
            break
    return Outcome(verdict, z.at_s)


def _row(name: str, seed: int, rate: float) -> Outcome:
    return judged(seed, *KINDS[name], rate=rate)


def main() -> int:
    """Print the table; 1 where equal builds are told apart too often, or a bid rate a tenth lower too seldom."""
    parser = argparse.ArgumentParser(prog="scripts/simulate canaries", description=__doc__.splitlines()[0])
    parser.add_argument("--canaries", type=int, default=1_000, metavar="N", help="of each kind (default: 1000)")
    parser.add_argument(
        "--rate", type=float, default=100.0, metavar="R", help="requests a second and arm (default: 100)"
    )
    args = parser.parse_args()
    print(
        f"{args.canaries} canaries of each kind, 600 s at most, {args.rate:g} requests/s an arm, a verdict every second"
    )
    print(f"{'canary':<20} {'rolled back':>11} {'promoted':>9} {'neither':>8} {'median s':>9} {'z test':>8}")
    shares = {}
    with ProcessPoolExecutor() as pool:
        for name in KINDS:
            seeds = range(args.canaries)
            outcomes = list(pool.map(_row, [name] * len(seeds), seeds, [args.rate] * len(seeds), chunksize=10))
            words = Counter(outcome.verdict.word for outcome in outcomes)
            found = [o.verdict.at_s for o in outcomes if o.verdict.word is Word.ROLLBACK]
            neither = words[Word.INCONCLUSIVE] + words[Word.GO_ON]
            peeked = sum(outcome.z_s is not None for outcome in outcomes)
            part = [count / len(outcomes) for count in (len(found), words[Word.PROMOTE], neither, peeked)]
            median = f"{statistics.median(found):.0f}" if found else "-"
            print(
                f"{name:<20} {part[0]:>11.1%} {part[1]:>9.1%} {part[2]:>8.1%} {median:>9} {part[3]:>8.1%}", flush=True
            )
            shares[name] = part[0]
    wrong = max(share for name, share in shares.items() if name.startswith("equal"))
    return int(wrong > Rules().alpha or shares["bid rate -10 %"] < 0.95)


if __name__ == "__main__":
    sys.exit(main())
