"""Where embedded services keep their data, and how their logs and leavings are treated."""

import os
import shutil
from pathlib import Path

import pytest

from bidder.embedded import child, home, programs
from bidder.embedded.child import Account, EmbeddedError
from bidder.embedded.passwords import passwords_path, read_or_make

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to nobody")
NOBODY = Account(65_534, 65_534)


def test_a_users_service_lives_in_the_state_directory(tmp_path: Path) -> None:
    place = home.service_home(tmp_path / "state", "postgres", account=None)
    assert place == tmp_path / "state" / "postgres"
    assert place.stat().st_mode & 0o777 == 0o700


@as_root
class TestAsRoot:
    @pytest.fixture(autouse=True)
    def base(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(home, "ROOT_BASE", tmp_path / "base")
        return tmp_path / "base"

    def test_data_lie_with_nobody_and_the_state_directory_links_to_them(self, tmp_path: Path, base: Path) -> None:
        place = home.service_home(tmp_path / "state", "postgres", NOBODY)
        assert place.parent == base
        assert (place.stat().st_uid, place.stat().st_mode & 0o777) == (NOBODY.uid, 0o700)
        assert (tmp_path / "state" / "postgres").resolve() == place

    def test_a_moved_state_directory_keeps_its_data(self, tmp_path: Path) -> None:
        place = home.service_home(tmp_path / "state", "postgres", NOBODY)
        (tmp_path / "state").rename(tmp_path / "moved")
        assert home.service_home(tmp_path / "moved", "postgres", NOBODY) == place

    def test_data_of_a_removed_state_directory_are_set_aside(self, tmp_path: Path) -> None:
        place = home.service_home(tmp_path / "state", "postgres", NOBODY)
        (place / "data").mkdir()
        (tmp_path / "state" / "postgres").unlink()
        again = home.service_home(tmp_path / "state", "postgres", NOBODY)
        assert again == place
        assert not (place / "data").exists()
        assert (place.with_name(place.name + ".previous") / "data").exists()

    def test_data_of_a_user_are_not_taken_over(self, tmp_path: Path) -> None:
        (tmp_path / "state" / "postgres").mkdir(parents=True)
        with pytest.raises(EmbeddedError, match="made by an ordinary user"):
            home.service_home(tmp_path / "state", "postgres", NOBODY)

    def test_removing_a_home_takes_link_and_data(self, tmp_path: Path) -> None:
        place = home.service_home(tmp_path / "state", "postgres", NOBODY)
        home.remove_home(tmp_path / "state", "postgres")
        assert not place.exists()
        assert not (tmp_path / "state" / "postgres").is_symlink()


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match=f"postgres: {tmp_path}/file"):
        home.service_home(tmp_path / "file" / "state", "postgres", account=None)


def test_passwords_are_made_once_and_read_by_their_owner_alone(tmp_path: Path) -> None:
    first = read_or_make(tmp_path, ("a", "b"))
    assert first == read_or_make(tmp_path, ("a", "b"))
    assert first["a"] != first["b"]
    assert passwords_path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_broken_password_file_is_named(tmp_path: Path) -> None:
    read_or_make(tmp_path, ("a",))
    passwords_path(tmp_path).write_text("{")
    with pytest.raises(EmbeddedError, match=r"postgres\.json: cannot be read"):
        read_or_make(tmp_path, ("a",))


def test_a_long_log_becomes_the_older_part(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with log.open("ab") as writer:
        writer.write(b"old\n" * 100)
        writer.flush()
        child.trim_log(log, limit=100)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "x.log.1").read_bytes() == b"old\n" * 100


def test_the_last_complaint_is_the_loudest_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert child.last_complaint(log) == "it said nothing"
    log.write_text("LOG: a\nFATAL: no room\nLOG: shut down\n")
    assert child.last_complaint(log) == "FATAL: no room"


def test_a_wrong_pgbin_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=f"PGBIN={tmp_path}: No such file"):
        programs.postgres_bin({"PGBIN": str(tmp_path)}, account=None)


def test_a_wrong_memcached_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="memcached at /bin/false: exit code 1"):
        programs.memcached({"MEMCACHED": "/bin/false"}, account=None)


def test_missing_memcached_names_the_script_that_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "CHECKOUT", tmp_path)
    with pytest.raises(EmbeddedError, match="run scripts/setup"):
        programs.memcached({"PATH": str(tmp_path)}, account=None)


@as_root
def test_programs_that_nobody_cannot_reach_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"  # pytest's directories can be entered by their owner only, as a checkout in /root
    (closed / ".tools" / "memcached" / "usr" / "bin").mkdir(parents=True)
    program = closed / ".tools" / "memcached" / "usr" / "bin" / "memcached"
    program.write_text("#!/bin/sh\necho fine\n")
    program.chmod(0o700)
    with_access = Path("/var/lib") / f"outbid-test-{os.getpid()}"
    monkeypatch.setattr(home, "ROOT_BASE", with_access)
    monkeypatch.setattr(programs, "CHECKOUT", closed)
    try:
        found = programs.memcached({"PATH": str(tmp_path)}, NOBODY)
        assert found.path.is_relative_to(with_access)
        assert programs.memcached({"PATH": str(tmp_path)}, NOBODY) == found
        assert [copy.stat().st_uid for copy in with_access.iterdir()] == [0]
    finally:
        shutil.rmtree(with_access, ignore_errors=True)
