"""The doors of a host's roles: can each do its job now? Asked where exchanges, operators and other roles would ask.

doors(state, settings) -> role -> is_ready(), which blocks for a second or two at most
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bidder.ops import control
from bidder.settings import Settings

ASK_S = 1.0
SUPERVISOR_S = 20.0  # workers that drain take their time


def doors(state: Path, settings: Settings) -> dict[str, Callable[[], bool]]:
    """In the order in which roles come up; the supervisor's is open when all of its workers serve a book."""
    return {
        "controller": partial(_answers, f"http://{settings.controller.listen}/readyz"),
        "tracker": partial(_answers, f"http://{settings.tracker.listen}/readyz"),
        "monitor": partial(_answers, f"http://{settings.monitor.listen}/readyz"),
        "aggregator": partial(_aggregator_works, state),
        "supervisor": partial(_workers_serve, state),
    }


def ask_supervisor(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Its answer; ControlError where there is none."""
    return control.ask(state / "run" / "supervisor.sock", request, SUPERVISOR_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ASK_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _workers_serve(state: Path) -> bool:
    try:
        return bool(ask_supervisor(state, {"do": "serving"})["revision"] > 0)
    except control.ControlError:
        return False


def _aggregator_works(state: Path) -> bool:
    try:
        return bool(control.ask(state / "run" / "aggregator.sock", {"do": "health"}, ASK_S)["healthy"])
    except control.ControlError:
        return False
