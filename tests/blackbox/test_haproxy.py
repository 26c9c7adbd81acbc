"""HAProxy as it is shipped, in front: sticky slices that are changed while it runs, and nothing lost with a host."""

import asyncio
import itertools
import json
import random
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from bidder._fast.slice import bucket
from bidder.simulator.connections import Answer, Failure, Pool
from bidder.simulator.traffic import requests
from tests.blackbox.bid_port import Asker
from tests.haproxy import SHIPPED, Balancer, program, running
from tests.hosts import DOORS, Host
from tests.named_server import named

CONNECTIONS = 8
BUCKETS = 10_000


class Farm(NamedTuple):
    balancer: Balancer
    processes: dict[str, "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Two hosts and a canary host behind HAProxy; the last test kills one."""
    with named("a", "b", "canary") as servers:
        ports = {name: port for name, (port, _) in servers.items()}
        with running(tmp_path_factory.mktemp("haproxy"), ports) as balancer:
            yield Farm(balancer, {name: process for name, (_, process) in servers.items()})


def people(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(count)]


def asked(ifa: str | None, request_id: str = "r-1") -> bytes:
    """A request with what exchanges put around an ifa."""
    device = {"ua": 'Mozilla/5.0 {"ifa":"no"}', "ext": {"ifa": "neither"}} | ({} if ifa is None else {"ifa": ifa})
    body = {"id": request_id, "imp": [{"id": "1", "ext": {"device": {"ifa": "nor this"}}}], "device": device}
    return json.dumps(body).encode()


def answers(balancer: Balancer, bodies: Sequence[bytes], victim: "subprocess.Popen[bytes] | None" = None) -> list[str]:
    """Who answered each, over a few keep-alive connections; the victim is killed when a quarter have been sent."""
    found: list[Answer | Failure | None] = [None] * len(bodies)

    async def one_after_the_other(pool: Pool, numbers: Iterator[int]) -> None:
        for n in numbers:
            if victim is not None and n == len(bodies) // 4:
                victim.kill()
            waiting = asyncio.get_running_loop().create_future()
            head = b"POST /bid/generic HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n" % len(bodies[n])
            pool.send(head + bodies[n], waiting.set_result)
            found[n] = await waiting

    async def all_of_them() -> None:
        pool = Pool("127.0.0.1", balancer.port, size=CONNECTIONS, most=CONNECTIONS, backlog=0, timeout_s=20)
        await pool.open()
        numbers = iter(range(len(bodies)))
        try:
            await asyncio.gather(*(one_after_the_other(pool, numbers) for _ in range(CONNECTIONS)))
        finally:
            await pool.close()

    asyncio.run(all_of_them())
    lost = [answer for answer in found if not isinstance(answer, Answer) or answer.status != 200]
    assert not lost, f"{len(lost)} of {len(bodies)} requests were lost: {lost[:3]}"
    return [answer.body.decode() for answer in found if isinstance(answer, Answer)]


def test_shipped_file_is_valid_as_it_stands(tmp_path: Path) -> None:
    found = program()
    if found is None:
        pytest.skip("no haproxy")
    text = SHIPPED.read_text(encoding="utf-8").replace("/etc/haproxy/", f"{SHIPPED.parent}/")
    (tmp_path / "haproxy.cfg").write_text(text, encoding="utf-8")
    command = [str(found[0]), "-c", "-f", str(tmp_path / "haproxy.cfg")]
    done = subprocess.run(command, env=found[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_a_slice_is_of_the_bidders_own_buckets_and_a_wider_one_contains_it(farm: Farm) -> None:
    everyone = people(1_500, 3)
    bodies = [asked(ifa) for ifa in everyone]
    before = answers(farm.balancer, bodies)
    assert set(before) == {"a", "b"}
    for percent in ("5%", "25%", "0"):
        assert farm.balancer.slice(percent).returncode == 0
        slice_ = int(float(percent.rstrip("%")) * 100)
        expected = [
            "canary" if bucket(ifa.encode()) < slice_ else stable for ifa, stable in zip(everyone, before, strict=True)
        ]
        assert answers(farm.balancer, bodies) == expected
        assert abs(expected.count("canary") / len(expected) - slice_ / BUCKETS) < 0.03


def test_users_are_spread_over_the_hosts(farm: Farm) -> None:
    found = Counter(answers(farm.balancer, [asked(ifa) for ifa in people(1_000, 5)]))
    assert 0.35 < found["a"] / found.total() < 0.65


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (asked("7A3B2A52-6a5e-4c4c-9d5f-0123456789ab", "r-9"), b"7A3B2A52-6a5e-4c4c-9d5f-0123456789ab"),
        (asked(None, "r-9"), b"r-9"),
        (asked("", "r-9"), b"r-9"),
        (asked("00000000-0000-0000-0000-000000000000", "r-9"), b"r-9"),
        (
            b'{"imp": [' + b'{"id": "1"},' * 2_000 + b'{"id": "1"}], "device": {"ifa": "far back"}, "id": "r-9"}',
            b"far back",
        ),
    ],
    ids=["as it is written", "no ifa", "an empty one", "nobody's", "behind 24 kB"],
)
def test_the_key_is_the_one_that_the_bidders_take(farm: Farm, body: bytes, key: bytes) -> None:
    for buckets, side in ((bucket(key), False), (bucket(key) + 1, True)):
        assert farm.balancer.slice(f"{buckets / 100:.2f}%").returncode == 0
        assert (answers(farm.balancer, [body]) == ["canary"]) is side


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\x1f\x8b gzip", b'{"imp": []}', asked(None, "r/9").replace(b"r/9", rb"r\/9")]
)
def test_what_has_no_key_that_haproxy_can_read_is_answered_by_other_hosts_than_the_canary(
    farm: Farm, body: bytes
) -> None:
    assert farm.balancer.slice("100%").returncode == 0
    assert answers(farm.balancer, [body])[0] in {"a", "b"}


def test_slice_survives_a_restart_and_is_told(farm: Farm) -> None:
    assert farm.balancer.slice("0").returncode == 0
    done = farm.balancer.slice("0.25%")
    assert (done.returncode, done.stdout) == (0, "0% -> 0.25%\n")
    assert farm.balancer.slice().stdout == "running: 0.25%\nafter a restart: 0.25%\n"
    assert "slice 25\n" in farm.balancer.map.read_text()
    assert farm.balancer.map.read_text().startswith("# ")


@pytest.mark.parametrize("text", ["5", "5.001%", "101%", "-1%", "all"])
def test_what_is_no_slice_is_refused(farm: Farm, text: str) -> None:
    done = farm.balancer.slice(text)
    assert done.returncode == 2
    assert "100%" in done.stderr or "unrecognized" in done.stderr or "required" in done.stderr


def test_a_map_that_cannot_be_written_is_said_and_what_runs_has_changed(farm: Farm) -> None:
    kept = farm.balancer.map.read_text()
    farm.balancer.map.write_text("nothing of ours\n")
    done = farm.balancer.slice("3%")
    assert done.returncode == 1
    assert "HAProxy has 3% now, but not after its next start" in done.stderr
    farm.balancer.map.write_text(kept)
    shown = farm.balancer.slice()
    assert (shown.returncode, "running: 3%" in shown.stdout) == (1, True)


def test_nobody_at_the_socket_is_said_in_a_line(farm: Farm, tmp_path: Path) -> None:
    done = farm.balancer.slice("--socket", str(tmp_path / "none"), "1%")
    assert done.returncode == 1
    assert "no HAProxy answers at" in done.stderr


def test_a_real_bidder_and_tracker_answer_through_it(host: Host, tmp_path: Path) -> None:
    ports = {"a": host.base + DOORS["bid"]}
    with (
        running(tmp_path, ports, {"a": host.base + DOORS["tracker"]}) as balancer,
        Asker(balancer.port) as bidder,
        Asker(balancer.tracker_port) as tracker,
    ):
        told = next(answer for body in itertools.islice(requests(3), 100) if (answer := bidder.ask(body)).bids)
        bill = urlsplit(told.bids[0]["burl"].replace("${AUCTION_PRICE}", "0.01"))
        assert tracker.send("GET", f"{bill.path}?{bill.query}").status == 204
        assert tracker.send("GET", "/stats").status == 404
        assert bidder.send("GET", "/healthz").status == 404


@pytest.mark.parametrize("victim", ["canary", "a"])
def test_a_host_that_is_killed_under_load_costs_no_request(farm: Farm, victim: str) -> None:
    assert farm.balancer.slice("25%").returncode == 0
    bodies = [asked(ifa) for ifa in people(2_000, 7)]
    found = answers(farm.balancer, bodies, farm.processes[victim])
    assert victim in found[:500]
    assert victim not in found[600:]
