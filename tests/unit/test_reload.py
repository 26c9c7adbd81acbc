"""Settings that are read again: what has changed, and what cannot."""

from dataclasses import replace

import pytest

from bidder.reload import FIXED, changed, refuse_fixed
from bidder.settings import Settings, SettingsError, parse


def test_what_has_changed_is_named_and_exchanges_by_their_rows() -> None:
    after = parse({"bidder": {"wait_budget_ms": 7}, "exchanges": {"acme": {"key": 40}, "openx": {"tmax_ms": 90}}}, "x")
    assert changed(Settings(), after) == ["bidder.wait_budget_ms", "exchanges.acme", "exchanges.openx"]
    assert changed(after, after) == []


def test_doors_services_and_sizes_of_files_are_refused_by_name() -> None:
    after = parse({"bidder": {"listen": "127.0.0.1:1", "lint_per_s": 2}, "postgres": {"port": 1}}, "x")
    with pytest.raises(SettingsError, match=r"^bidder.listen, postgres.port: cannot change while the host runs"):
        refuse_fixed(changed(Settings(), after))
    refuse_fixed(["bidder.lint_per_s", "exchanges.acme"])


def test_what_is_fixed_are_settings() -> None:
    for name in FIXED:
        section, _, key = name.partition(".")
        of_it = getattr(Settings(), section)
        assert not key or replace(of_it, **{key: getattr(of_it, key)}) == of_it
