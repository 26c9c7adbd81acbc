"""What the doors say: the ready line, status, health, and answers to bad input. Nothing of it closes a process."""

import contextlib
import json
import re
import resource
import socket
from pathlib import Path

import pytest

from bidder.ops import descriptors
from tests.blackbox.lines import campaign, everybody_bids, request
from tests.hosts import DOORS, ROLES, Host, alive

pytestmark = pytest.mark.blackbox


def test_the_ready_line_has_its_doors_and_the_pids_of_every_role(host: Host) -> None:
    assert set(host.ready) == {"ready", "postgres", "pids", *DOORS}
    assert host.ready["ready"] is True
    for door, offset in DOORS.items():
        assert host.ready[door] == f"http://127.0.0.1:{host.base + offset}"
    assert host.ready["postgres"].startswith("postgresql://")
    assert set(host.ready["pids"]) == ROLES
    for role, pids in host.ready["pids"].items():
        assert len(pids) == (host.workers if role == "worker" else 1)
        assert all(isinstance(pid, int) for pid in pids)


def test_status_has_every_role_of_the_ready_line(host: Host) -> None:
    document = json.loads(host.verb("status", "--json"))
    assert set(document) == {"processes"}
    rows = document["processes"]
    assert {row["role"] for row in rows} == ROLES
    assert all({"role", "pid", "address", "build", "healthy"} <= row.keys() for row in rows)
    assert all(row["healthy"] and alive(row["pid"]) for row in rows)
    assert all(row["address"] for row in rows if row["role"] not in ("aggregator", "worker"))
    assert len({row["book_revision"] for row in rows if row["role"] in ("worker", "supervisor")}) == 1
    assert len([row for row in rows if row["role"] == "worker"]) == host.workers


def test_the_dsn_of_the_ready_line_is_that_of_the_reports(host: Host) -> None:
    ((campaigns,),) = host.ask_postgres("SELECT count(*) FROM report.budget")
    assert host.verb("sql", "-A", "-t", "-c", "SELECT count(*) FROM report.budget").strip() == str(campaigns)


@pytest.mark.parametrize("door", list(DOORS))
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_every_server_says_that_it_lives_and_can_do_its_job(host: Host, door: str, path: str) -> None:
    assert host.get(door, path)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/bid/generic", b'{"id": "1", "imp": [', 400),
        ("POST", "/bid/generic", b"", 400),
        ("POST", "/bid/generic", b"[1, 2", 400),
        ("POST", "/bid/generic", b"{}", 204),
        ("GET", "/bid/generic", None, 405),
        ("PUT", "/bid/generic", b"{}", 405),
        ("POST", "/bid/nobody", b"{}", 404),
        ("POST", "/bid/", b"{}", 404),
        ("GET", "/no-such-route", None, 404),
        ("POST", "/bid/generic", b" " * 300_000, 413),
    ],
)
def test_bad_input_is_refused_and_the_next_is_served(
    host: Host, method: str, path: str, body: bytes | None, status: int
) -> None:
    before = host.pids("worker")
    connection = host.connect()
    with contextlib.closing(connection):
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == status
        if path == "/bid/generic":
            assert text == b""
    assert host.get("bid", "/healthz")[0] == 200
    assert host.pids("worker") == before


@pytest.mark.parametrize(
    "noise", [b"\0" * 100, b"GET\r\n\r\n", b"POST /bid/generic HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_noise_on_the_bid_port_harms_nobody_else(host: Host, noise: bytes) -> None:
    before = host.pids("worker")
    steady = host.connect()
    with contextlib.closing(steady):
        steady.connect()
        noisy = host.connect()
        with contextlib.closing(noisy):
            noisy.connect()
            noisy.sock.sendall(noise)
            noisy.sock.shutdown(socket.SHUT_WR)
            reply = b"".join(iter(lambda: noisy.sock.recv(65_536), b""))
            assert reply == b"" or reply.startswith(b"HTTP/1.1 400 ")
        steady.request("POST", "/bid/generic", b"{}")
        assert steady.getresponse().status == 204
    assert host.pids("worker") == before


@pytest.mark.parametrize("path", ["/bill/no-token?price=1", "/win/", "/imp/x", "/click/" + "A" * 124, "/loss/%00"])
def test_the_tracker_refuses_what_it_did_not_seal(host: Host, path: str) -> None:
    status, body = host.get("tracker", path)
    assert 400 <= status < 500
    assert body == b""


def test_a_request_is_answered_the_same_on_one_connection_as_on_many(host: Host) -> None:
    host.campaigns(campaign("door-1"))
    assert everybody_bids(host, "door-1")
    connection = host.connect()
    with contextlib.closing(connection):
        for _ in range(50):
            connection.request("POST", "/bid/generic", request("door-1"))
            answer = connection.getresponse()
            assert answer.status == 200
            bid = json.loads(answer.read())["seatbid"][0]["bid"][0]
            assert (bid["cid"], bid["impid"], bid["price"], bid["dealid"]) == ("door-1", "1", 2, "door-1")


def test_whoever_takes_connections_has_room_for_them_before_they_come(host: Host) -> None:
    rows = [row for row in host.processes() if row["role"] in ("worker", "tracker")]
    assert len(rows) == host.workers + 1
    for row in rows:
        (size,) = re.findall(r"^FDSize:\t(\d+)$", Path(f"/proc/{row['pid']}/status").read_text(), re.MULTILINE)
        limit, _ = resource.prlimit(row["pid"], resource.RLIMIT_NOFILE)
        assert int(size) >= min(limit, descriptors.MOST)
