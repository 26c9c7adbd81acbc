"""The reference, fast enough for thousands of campaigns: each request and imp is read once, not once a campaign."""

from typing import Any

import pytest

from tests.reference import matcher


def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test is over; requests must not be changed meanwhile."""
    for name in ("view", "view_imp"):
        _remember(monkeypatch, name)


def _remember(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    read = getattr(matcher, name)
    known: dict[int, tuple[Any, Any]] = {}  # the body too, or its id could become another's

    def once(body: Any) -> Any:
        if id(body) not in known:
            known[id(body)] = (body, read(body))
        return known[id(body)][1]

    monkeypatch.setattr(matcher, name, once)
