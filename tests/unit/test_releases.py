"""What `scripts/releases` makes its builds of, and how it sums up what it counts."""

from pathlib import Path
from typing import Any

import pytest

from bidder.builds import digest_of
from tests.bench.servers import CHECKOUT
from tests.releases import builds
from tests.releases.load import summed

COUNTED: dict[str, Any] = {
    "sent": 100, "answered": 95, "in_time": 90, "bids": 70, "bids_in_time": 68, "nobids_in_time": 20, "errors": 4,
    "garbled": 1, "lost": 3, "unanswered": 2, "refused": 1, "unsent": 5, "skipped": 6,
    "latency_us": {"p99": 1_234.0, "max": 40_000.0},
}  # fmt: skip


@pytest.mark.parametrize("name", [*builds.GOOD, *builds.BROKEN])
def test_a_made_build_is_this_code_but_for_one_module(tmp_path: Path, name: str) -> None:
    home = builds.make(tmp_path, name)
    own = [path.relative_to(home) for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert own == [Path((builds.GOOD | builds.BROKEN)[name].module)]
    assert (home / own[0]).read_text().startswith((CHECKOUT / own[0]).read_text())
    assert digest_of(home) != digest_of(CHECKOUT)


@pytest.mark.parametrize("name", builds.BAD)
def test_a_bad_build_spoils_its_answers_and_nothing_else(tmp_path: Path, name: str) -> None:
    home = builds.bad(tmp_path, name)
    own = {path.name for path in home.rglob("*.py") if path.is_file() and not path.is_symlink()}
    assert own == {"answering.py", "spoils.py"}
    assert f"spoils.{builds.BAD[name].spoil}(" in (home / "bidder" / "canary" / "answering.py").read_text()
    assert f"def {builds.BAD[name].spoil}(" in (home / "bidder" / "canary" / "spoils.py").read_text()


def test_every_request_is_in_one_column_and_only_those_in_time_are_not_lost() -> None:
    counts = summed(COUNTED)
    assert (counts.in_time, counts.late, counts.failed, counts.reset, counts.open) == (88, 3, 5, 3, 2)
    assert counts.lost == 3 + 5 + 3 + 1 + 5
    apart = counts.since(summed(COUNTED | {"sent": 60, "lost": 1}))
    assert (apart.sent, apart.reset, apart.late, apart.p99_ms) == (40, 2, 0, 1.23)
