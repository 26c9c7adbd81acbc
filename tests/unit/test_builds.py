"""Builds: which code a process is started from, and whether that can serve."""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from bidder import builds
from bidder.builds import Build, BuildError
from bidder.cli.worker import NICE
from tests.builds import CHECKOUT, linked

NOISY = "raise RuntimeError('not today')"
MESSY = """import tempfile, time
from pathlib import Path

Path("{said}").write_text(tempfile.mkdtemp())
time.sleep(100)
"""


def code_of(build: Build) -> str:
    """Where a process of this build has its code."""
    argv = [str(build.python), "-P", "-c", "import bidder; print(bidder.__path__[0])"]
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=build.environ(), cwd="/").stdout.strip()


def test_a_directory_is_a_build_and_its_processes_see_its_code(tmp_path: Path) -> None:
    place = linked(tmp_path / "next")
    build = builds.add(tmp_path / "state", "next", place)
    assert (build.python, build.path) == (Path(sys.executable), place)
    assert code_of(build) == str(place / "bidder")
    assert builds.load(tmp_path / "state", "next") == build.verified()
    assert [one.name for one in builds.listed(tmp_path / "state")] == ["next"]


def test_code_that_has_changed_since_it_was_added_is_refused_until_it_is_added_again(tmp_path: Path) -> None:
    state, place = tmp_path / "state", linked(tmp_path / "next", spot_check="x = 1")
    first = builds.add(state, "next", place)
    (place / "bidder" / "spot_check.py").write_text("x = 2")
    with pytest.raises(BuildError, match=r"build next: .* is not what was added; add it again"):
        builds.use(state, "next")
    assert builds.current(state) is None
    second = builds.add(state, "next", place)
    assert second.digest != first.digest
    assert builds.use(state, "next") == second == builds.current(state)


def test_an_environment_with_outbid_in_it_is_a_build(tmp_path: Path) -> None:
    build = builds.add(tmp_path / "state", "dev", CHECKOUT / ".venv")
    assert (build.path, build.python) == (CHECKOUT, CHECKOUT / ".venv" / "bin" / "python")
    assert build.digest == builds.digest_of(CHECKOUT)


def wheel_in(directory: Path) -> Path:
    wheel = directory / "outbid-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for package in builds.PACKAGES:
            archive.writestr(f"{package}/__init__.py", '"""Of a wheel."""\n')
        meta = "outbid-9.9.9.dist-info"
        archive.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: outbid\nVersion: 9.9.9\n")
        archive.writestr(
            f"{meta}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{meta}/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))
    return wheel


def test_a_wheel_gets_an_environment_that_has_our_dependencies_and_its_own_code(tmp_path: Path) -> None:
    state = tmp_path / "state"
    build = builds.add(state, "nine", wheel_in(tmp_path))
    assert code_of(build) == str(build.path / "bidder")
    assert build.path.is_relative_to(state / "builds" / "nine")
    subprocess.run([str(build.python), "-P", "-c", "import msgspec, tornado"], check=True, env=build.environ())
    with pytest.raises(BuildError, match=r"build nine fails its check: .*No module named bidder.__main__"):
        builds.check(state, build)


def test_a_wheel_that_is_added_again_leaves_the_environment_that_runs_alone(tmp_path: Path) -> None:
    state, wheel = tmp_path / "state", wheel_in(tmp_path)
    first = builds.add(state, "nine", wheel)
    room = first.path.stat().st_ino
    again = builds.add(state, "nine", wheel)
    assert (again.path, again.path.stat().st_ino) == (first.path, room)
    (first.path / "bidder" / "__init__.py").write_text("edited = True\n")
    anew = builds.add(state, "nine", wheel)
    assert anew.path != first.path
    assert (anew.digest, anew.verified()) == (first.digest, anew)
    assert (first.path / "bidder" / "__init__.py").read_text() == "edited = True\n"


def test_a_wheel_that_cannot_be_installed_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "outbid-9.9.9-py3-none-any.whl"
    broken.write_bytes(b"no archive")
    with pytest.raises(BuildError, match="cannot be installed"):
        builds.add(tmp_path / "state", "nine", broken)
    assert list((tmp_path / "state" / "builds" / "nine").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("x", "nowhere", "no such directory or wheel"),
        ("x", ".", r"holds no bidder/; a build has bidder, aggregator, reporting"),
        ("Über", ".", "a build's name is"),
        ("../x", ".", "a build's name is"),
        ("current", ".", "a build's name is"),
    ],
)
def test_what_is_no_build_is_refused_by_name(tmp_path: Path, name: str, path: str, why: str) -> None:
    with pytest.raises(BuildError, match=why):
        builds.add(tmp_path, name, tmp_path / path)


def test_the_current_build_is_not_removed(tmp_path: Path) -> None:
    builds.add(tmp_path, "next", linked(tmp_path / "next"))
    builds.use(tmp_path, "next")
    with pytest.raises(BuildError, match="is the current one"):
        builds.remove(tmp_path, "next")
    builds.add(tmp_path, "other", linked(tmp_path / "other"))
    builds.use(tmp_path, "other")
    builds.remove(tmp_path, "next")
    with pytest.raises(BuildError, match="no build 'next'; there are: other"):
        builds.load(tmp_path, "next")


def test_a_build_that_can_serve_bids_for_itself_and_names_its_formats(tmp_path: Path) -> None:
    state = tmp_path / "state"
    build = builds.add(state, "next", linked(tmp_path / "next"))
    said = builds.check(state, build)
    assert (said["ok"], said["build"], said["digest"]) == (True, "next", build.digest)
    assert set(said["formats"]) == {"board", "book", "counters", "frequency", "purses", "segments", "shading"}
    assert not (state / "shm").exists()


@pytest.mark.parametrize(
    ("module", "text", "why"),
    [
        ("worker", "def run(:\n", "invalid syntax"),
        ("worker", NOISY, "RuntimeError: not today"),
        ("supervisor", NOISY, "RuntimeError: not today"),
        ("worker", "import os\nos.abort()", "ended by signal 6"),
        ("worker", "import os\nraise ValueError(f'nice {os.nice(0)}')", f"nice {os.nice(0) + NICE}"),
        ("outcome", "", "cannot import name"),
    ],
)
def test_a_build_that_cannot_serve_fails_its_check_with_what_it_said(
    tmp_path: Path, module: str, text: str, why: str
) -> None:
    build = builds.add(tmp_path / "state", "bad", linked(tmp_path / "bad", **{module: text}))
    with pytest.raises(BuildError, match=f"build bad fails its check: .*{why}"):
        builds.check(tmp_path / "state", build)


def test_a_build_that_hangs_in_its_check_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "CHECK_S", 0)
    monkeypatch.setattr(builds, "GRACE_S", 1.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    hangs = linked(tmp_path / "hangs", supervisor=MESSY.format(said=tmp_path / "messy"))
    build = builds.add(tmp_path / "state", "hangs", hangs)
    with pytest.raises(BuildError, match="build hangs: its check did not end"):
        builds.check(tmp_path / "state", build)
    assert (tmp_path / "messy").read_text().startswith(str(tmp_path / "temporary" / "outbid-check-"))
    assert list((tmp_path / "temporary").iterdir()) == []  # it was killed, and could not tidy up itself


def test_a_build_that_wants_another_layout_of_shared_memory_fails_its_check(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "shm").mkdir(parents=True)
    (state / "shm" / "board").write_bytes(b"obboard0" + bytes(8192))
    build = builds.add(state, "next", linked(tmp_path / "next"))
    with pytest.raises(BuildError, match="shm/board: begins with b'obboard0', this build wants"):
        builds.check(state, build)


def test_a_build_is_described_in_json_that_later_builds_may_extend(tmp_path: Path) -> None:
    build = builds.add(tmp_path, "next", linked(tmp_path / "next"))
    said = json.loads((tmp_path / "builds" / "next" / "build.json").read_text())
    assert Build.of(said | {"signed_by": "somebody"}) == build


def test_a_role_that_somebody_else_starts_becomes_the_current_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[list[str], str]] = []
    monkeypatch.delenv(builds.VARIABLE, raising=False)
    monkeypatch.setattr(os, "execve", lambda path, argv, environ: became.append((argv, environ[builds.VARIABLE])))
    builds.enter_current(tmp_path, ["tracker"])
    assert became == [], "nobody has chosen a build"
    build = builds.add(tmp_path, "next", linked(tmp_path / "next"))
    builds.use(tmp_path, "next")
    builds.enter_current(tmp_path, ["tracker", "--state", "s"])
    assert became == [(build.command("tracker", "--state", "s"), "next")]
    monkeypatch.setenv(builds.VARIABLE, "next")
    builds.enter_current(tmp_path, ["tracker"])
    assert len(became) == 1, "it is that build already"
