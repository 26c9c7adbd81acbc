"""What verbs find in a state directory."""

from pathlib import Path

import pytest

from bidder.cli import context
from bidder.settings import Settings


def test_a_role_with_settings_of_its_own_leaves_those_of_the_host(tmp_path: Path) -> None:
    file = tmp_path / "outbid.toml"
    file.write_text('[bidder]\nlisten = "127.0.0.1:9999"\n', encoding="utf-8")
    state = context.make_state(tmp_path / "state")
    context.save(state, Settings(), "")
    assert context.role_settings(state, file).bidder.listen == "127.0.0.1:9999"
    assert context.role_settings(state, None) == context.load(state).settings == Settings()


def test_a_directory_without_a_host_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(context.CliError, match="outbid up --state"):
        context.load(tmp_path)
