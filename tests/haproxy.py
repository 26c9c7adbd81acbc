"""A real HAProxy with the shipped docker/haproxy.cfg, but for addresses and files; on loopback, ended by its starter.

with running(directory, bidders={"a": 8000, "b": 8100, "canary": 8200}) as balancer: balancer.url; balancer.slice("5%")
The program: $HAPROXY, else PATH, else .tools/ as scripts/setup leaves it; without one `running` skips the test.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conditions import wait_until
from tests.free_ports import free_port

CHECKOUT = Path(__file__).resolve().parents[1]
SHIPPED = CHECKOUT / "docker" / "haproxy.cfg"
UNPACKED = CHECKOUT / ".tools" / "haproxy"
START_S = 10.0


def program() -> tuple[Path, dict[str, str]] | None:
    """HAProxy and the environment that it needs; None where there is none."""
    chosen = os.environ.get("HAPROXY") or shutil.which("haproxy")
    if chosen:
        return Path(chosen), dict(os.environ)
    unpacked = UNPACKED / "usr" / "sbin" / "haproxy"
    return (unpacked, os.environ | {"LD_LIBRARY_PATH": str(UNPACKED / "lib")}) if unpacked.exists() else None


def replaced(text: str, pattern: str, new: str) -> str:
    """Every place of `pattern`; AssertionError where the shipped file has none, for then it is not what is tested."""
    changed, n = re.subn(pattern, new, text, flags=re.MULTILINE)
    assert n, f"{SHIPPED} has no {pattern!r} any more"
    return changed


class Balancer:
    """What listens where, while it runs."""

    def __init__(self, directory: Path, bidders: Mapping[str, int], trackers: Mapping[str, int]) -> None:
        self.directory = directory
        self.map, self.admin = directory / "slice.map", directory / "admin.sock"
        self.config = directory / "haproxy.cfg"
        self.port, self.tracker_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        shutil.copy(SHIPPED.with_name("outbid-slice.map"), self.map)
        self.config.write_text(self._adapted(bidders, trackers), encoding="utf-8")

    def _adapted(self, bidders: Mapping[str, int], trackers: Mapping[str, int]) -> str:
        text = replaced(SHIPPED.read_text(encoding="utf-8"), r"^\t(user|group) haproxy\n", "")
        text = replaced(text, r"maxconn 8000$", "maxconn 500")  # what descriptors a test machine gives
        text = replaced(text, "/etc/haproxy/outbid-slice.map", str(self.map))
        text = replaced(text, "/run/haproxy/admin.sock", str(self.admin))
        text = replaced(text, r"log /dev/log local0", "log stderr format raw local0")
        text = replaced(text, r"bind :8000$", f"bind 127.0.0.1:{self.port}")
        text = replaced(text, r"bind :8001$", f"bind 127.0.0.1:{self.tracker_port}")
        for where, servers in ((8000, bidders), (8001, trackers)):
            for name in ("a", "b", "canary"):
                line = rf"^\tserver {name} [0-9.]+:{where}( weight 0)?$"
                here = rf"\tserver {name} 127.0.0.1:{servers[name]}\1" if name in servers else ""
                text = replaced(text, line, here)
        return text if "canary" in bidders else replaced(text, r"^\tuse-server canary .*$", "")

    def slice(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """`scripts/haproxy-slice`, as an operator runs it."""
        command = [sys.executable, str(CHECKOUT / "scripts" / "haproxy-slice")]
        command += ["--socket", str(self.admin), "--map", str(self.map), *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)

    def answers(self) -> bool:
        """As a balancer in front of it would ask."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def running(
    directory: Path, bidders: Mapping[str, int], trackers: Mapping[str, int] | None = None
) -> Iterator[Balancer]:
    """One that answers. `bidders`, `trackers`: loopback ports by name (a, b, canary); who is absent is left out."""
    found = program()
    if found is None:
        pytest.skip("no haproxy in $HAPROXY, PATH or .tools/: scripts/setup --dev fetches it where apt-get is")
    path, environ = found
    balancer = Balancer(directory, bidders, trackers or {})
    with (directory / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            [path, "-db", "-f", balancer.config],
            stdout=log,
            stderr=log,
            env=environ,
            start_new_session=True,  # the kernel shares processors out by sessions: it is none of our verbs
        )
    try:
        wait_until(lambda: process.poll() is not None or balancer.answers(), START_S, f"HAProxy, see {balancer.config}")
        assert process.poll() is None, (directory / "haproxy.log").read_text()
        yield balancer
    finally:
        process.kill()
        process.wait()
