"""Figures for people and for programs: one table on stdout, or the same as JSON, with machine and date."""

import argparse
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bidder._fast import freshness

CHECKOUT = Path(__file__).resolve().parents[2]


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """With what every bench takes."""
    found = argparse.ArgumentParser(
        prog=f"scripts/bench {name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    return found


def numbers(text: str) -> list[int]:
    """`8,64,512`"""
    return [int(part.replace("_", "")) for part in text.split(",") if part]


def machine() -> dict[str, Any]:
    """Where and when, for whoever compares."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "build": freshness.profile_of("decision") or "plain",
    }


def show(
    as_json: bool, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], skipped: Sequence[str] = ()
) -> None:
    """`facts` above, one line a row, what was skipped below."""
    if as_json:
        print(json.dumps({"facts": facts, "rows": rows, "skipped": skipped}))
        return
    print(", ".join(f"{key.replace('_', ' ')} {_cell(value)}" for key, value in facts.items()))
    if rows:
        names = list(rows[0])
        lines = [names, *([_cell(row[name]) for name in names] for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
        for line in lines:
            cells = [cell.ljust(widths[0]) if n == 0 else cell.rjust(widths[n]) for n, cell in enumerate(line)]
            print("  ".join(cells).rstrip())
    for what in skipped:
        print(f"skipped: {what}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
