"""A real host in several troubles at once: each is seen by itself, told once, and shown with what to do.

One host; the page, the scrape and the log are read from outside.
"""

import json
import os
import pty
import signal
import socket
import struct
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from bidder.ops.vitals import read_all
from tests.conditions import wait_until
from tests.hosts import CHECKOUT, EXAMPLES, Host, running

pytestmark = pytest.mark.faults

ROLES = {"up", "supervisor", "worker", "tracker", "controller", "aggregator", "monitor"}


@pytest.fixture(scope="module")
def sink() -> Iterator[socket.socket]:
    """Where StatsD's datagrams go."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(10)
        yield sink


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, sink: socket.socket) -> Iterator[Host]:
    environ = {"OUTBID_METRICS_STATSD": f"127.0.0.1:{sink.getsockname()[1]}"}
    with running(tmp_path_factory.mktemp("watching") / "state", workers=2, environ=environ) as host:
        host.verb("campaign", "import", str(EXAMPLES), "--wait")
        yield host


def scrape(host: Host) -> dict[str, list[tuple[dict[str, str], float]]]:
    status, text = host.get("metrics", "/metrics")
    assert status == 200
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in parsed(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def bid(host: Host, times: int) -> None:
    body = json.dumps(
        {
            "id": "1", "imp": [{"id": "1", "banner": {"w": 320, "h": 50}, "bidfloor": 999}],
            "site": {"domain": "a.example"}, "device": {"ip": "8.8.8.8"},
        }
    )  # fmt: skip
    connection = host.connect()
    for _ in range(times):
        connection.request("POST", "/bid/openx", body, {"Content-Type": "application/json"})
        assert connection.getresponse().read() == b""
    connection.close()


def workers(host: Host) -> list[int]:
    """That live, the one in the first seat before the other; read as the supervisor reads it, without asking."""
    return [said["pid"] for said in read_all(host.state) if said["role"] == "worker"]


def test_one_scrape_has_what_all_workers_counted_and_how_every_process_is(host: Host) -> None:
    before = sum(value for _, value in scrape(host).get("outbid_requests_total", []))
    bid(host, 50)

    def counted() -> float:
        return sum(value for _, value in scrape(host).get("outbid_requests_total", [])) - before

    wait_until(lambda: counted() == 50, 5.0, "the requests")
    found = scrape(host)
    assert {labels["role"] for labels, _ in found["outbid_process_resident_bytes"]} == ROLES
    assert [labels["seat"] for labels, _ in found["outbid_connections"] if labels["role"] == "worker"] == ["0", "1"]
    assert max(value for _, value in found["outbid_process_vitals_age_seconds"]) < 5
    assert sum(value for _, value in found["outbid_decision_seconds_count"]) >= 50
    assert found["outbid_book_served_revision"] == found["outbid_book_revision"]
    assert {labels["role"] for labels, _ in found["outbid_build_info"]} == ROLES - {"up"}
    assert all(value == 0 for _, value in found["outbid_alert"])


def test_statsd_hears_of_requests_as_they_come(host: Host, sink: socket.socket) -> None:
    bid(host, 7)
    heard = 0.0
    while heard < 7:  # each look costs a datagram, and one that does not come fails
        for line in sink.recv(65_536).splitlines():
            if line.startswith(b"outbid.requests:") and line.endswith(b"|c|#exchange:openx,arm:stable"):
                heard += float(line.split(b":")[1].split(b"|")[0])


def test_a_page_that_is_watched_is_drawn_each_second_and_ends_at_ctrl_c(host: Host) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(CHECKOUT)
        words = [sys.executable, "-m", "bidder", "status", "--watch", "--state", str(host.state)]
        environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        os.execve(sys.executable, words, environ)  # readline has set both in the environment that it would inherit
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 60, 0, 0))
    said = b""
    while said.count(b"\x1b[H") < 3:
        said += os.read(terminal, 65_536)
    os.write(terminal, b"\x03")
    _, code = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(code) == 0
    pages = said.decode().split("\x1b[H")[1:]
    rows = [line.removesuffix("\x1b[K") for line in pages[1].split("\r\n")]
    assert len(rows) <= 8
    assert max(len(row) for row in rows) <= 60
    assert any(row.startswith("...") for row in rows)
    assert "Traceback" not in said.decode()
    piped = host.verb("status", "--watch").splitlines()
    assert "\x1b" not in "".join(piped)
    assert any(line.startswith("worker ") for line in piped)


def told(host: Host) -> list[dict[str, Any]]:
    """Alerts that the supervisor has logged."""
    lines = (host.state / "log" / "supervisor.log").read_text().splitlines()
    return [json.loads(line) for line in lines if '"msg":"alert"' in line]


def test_troubles_that_come_together_are_each_told_once(host: Host) -> None:
    expected = {"WorkerCrashLoop", "TrackerAway", "ProcessSilent"}
    frozen = host.pids("aggregator")[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        host.verb("stop", "tracker")
        for n in range(3):
            [dead, _] = workers(host)
            os.kill(dead, signal.SIGKILL)
            wait_until(lambda dead=dead: len(found := workers(host)) == 2 and dead not in found, 5.0, f"{n + 1} deaths")  # type: ignore[misc]
        wait_until(lambda: expected <= {line["alert"] for line in told(host)}, 15.0, "all three")
        page = host.verb("status", code=1).splitlines()
        live = json.loads(host.get("monitor", "/live.json")[1])
        on = {labels["name"] for labels, value in scrape(host)["outbid_alert"] if value}
    finally:
        os.kill(frozen, signal.SIGCONT)
        host.verb("start", "tracker")
    assert page[0].startswith("!! ")
    assert any("docs/runbook.md#trackeraway" in line for line in page)
    assert on == expected
    assert {alert["name"] for alert in live["alerts"]} == expected
    assert [row["silent_s"] > 4 for row in live["processes"] if row["pid"] == frozen] == [True]
    assert sorted(line["alert"] for line in told(host)) == sorted(expected)
