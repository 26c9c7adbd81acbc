"""Stale and missing extensions are seen by the content of their sources."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from bidder._fast import freshness


@pytest.fixture
def fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the compiled extension `door`, which cimports `wall`, and `roof`, which does not."""
    here = tmp_path / "bidder" / "_fast"
    here.mkdir(parents=True)
    monkeypatch.setattr(freshness, "HERE", here)
    monkeypatch.setattr(freshness, "SETUP", tmp_path / "setup.py")
    (tmp_path / "setup.py").write_text("FLAGS = 1\n")
    (here / "wall.pxd").write_text("cdef int height\n")
    (here / "door.pxd").write_text("from bidder._fast.wall cimport height\n")
    for name in ("door", "roof"):
        (here / f"{name}.pyx").write_text(f'"""{name}"""\n')
        (here / f"{name}{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
        freshness.mark_built(name, freshness.digest(name))
    return here


def test_what_was_just_built_is_fresh(fast: Path) -> None:
    assert freshness.unbuilt() == []
    freshness.check()


def test_what_was_built_says_with_which_profile(fast: Path) -> None:
    freshness.mark_built("door", freshness.digest("door"), "trained")
    assert freshness.unbuilt() == []
    assert [freshness.profile_of(name) for name in ("door", "roof", "gate")] == ["trained", "", ""]


def test_an_edit_of_a_cimported_declaration_makes_its_users_stale(fast: Path) -> None:
    (fast / "wall.pxd").write_text("cdef long height\n")
    assert freshness.unbuilt() == ["door"]


def test_an_edit_of_the_build_makes_all_stale(fast: Path) -> None:
    (fast.parents[1] / "setup.py").write_text("FLAGS = 2\n")
    assert freshness.unbuilt() == ["door", "roof"]


def test_a_missing_extension_is_named_with_the_line_that_builds_it(fast: Path) -> None:
    (fast / f"roof{EXTENSION_SUFFIXES[0]}").unlink()
    with pytest.raises(freshness.NotBuiltError, match=r"\(roof\); build them: scripts/build$"):
        freshness.check()


def test_an_installed_package_has_nothing_to_check(fast: Path) -> None:
    (fast.parents[1] / "setup.py").unlink()
    (fast / "door.built").unlink()
    freshness.check()
