"""The benches' own parts: what there is, the open-loop generator against a server that keeps to a script, profiles."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import openloop, stages, table

ANSWERS = (b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHTH")


OPEN: list[asyncio.Transport] = []  # of the server that runs


class Scripted(asyncio.Protocol):
    """Answers each request in turn with and without a body, in pieces of seven bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.seen = 0
        OPEN.append(transport)

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"POST ")):
            answer = ANSWERS[self.seen % 2]
            self.seen += 1
            for at in range(0, len(answer), 7):
                self.transport.write(answer[at : at + 7])


@pytest.fixture
def url() -> Iterator[str]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Scripted, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    while OPEN:
        OPEN.pop().abort()
    loop.run_until_complete(server.wait_closed())
    loop.run_until_complete(asyncio.sleep(0))  # the aborted ones close their sockets
    loop.close()


def test_each_bench_says_what_it_shows() -> None:
    found = bench.benches()
    assert {"hot", "latency", "overload", "scale", "stages"} <= found.keys()
    assert all(found.values())


def test_an_unknown_bench_lists_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(["fast"]) == 2
    assert "overload" in capsys.readouterr().out


def test_open_loop_load_accounts_for_every_request(url: str) -> None:
    load = openloop.Load(url, [b"{}"], openloop.Plan(rate=400, seconds=0.5, connections=4, depth=2, deadline_ms=10_000))
    load.play()
    load.close()
    assert load.offered == load.sent + load.unsent + load.skipped > 0
    assert len(load.latency) == len(load.service) == load.sent == load.in_time
    assert 0 < load.bids < load.sent
    assert all(service <= latency for service, latency in zip(load.service, load.latency, strict=True))


def test_what_is_due_is_lost_where_every_connection_is_taken(url: str) -> None:
    plan = openloop.Plan(rate=100_000, seconds=0.05, connections=1, depth=1, deadline_ms=10_000)
    load = openloop.Load(url, [b"{}"], plan)
    load.play()
    load.close()
    assert load.unsent > 0
    assert len(load.latency) == load.sent


def test_quantiles_are_microseconds_of_sorted_nanoseconds() -> None:
    assert openloop.quantiles([3_000, 1_000, 2_000]) == {"p50": 2.0, "p99": 3.0, "p99.9": 3.0, "max": 3.0}
    assert openloop.quantiles([])["max"] == 0.0


def test_a_profile_is_read_by_stage_without_the_cost_of_calls(tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    profile.write_text(
        "events: Ir\n\nob=(1) /x/bidder/_fast/request.so\nfn=(1) __pyx_f_6bidder_5_fast_7request_6Reader_read\n"
        "10 100\n+2 11\ncob=(2) /lib/libcrypto.so.3\ncfn=(2) AES\ncalls=1 0\n12 5000\n\n"
        "ob=(2)\nfn=(2)\n0 5000\n\nob=(3) /lib/libc.so.6\nfn=(3) memcpy\n* 7\n"
    )
    assert stages.read_profile(profile) == {"read": 111, "tokens": 5000, "libc, interpreter": 7}


def test_lists_of_numbers_may_be_grouped() -> None:
    assert table.numbers("240,1_000,10000") == [240, 1000, 10000]
