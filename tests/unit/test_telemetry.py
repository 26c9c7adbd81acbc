"""Telemetry: what is served, and that nothing which goes wrong with it ends the supervisor."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tornado.httpclient
from prometheus_client.parser import text_string_to_metric_families as parsed

from bidder.events.schema import Deltas, Kind, Row
from bidder.settings import Bidder, Settings
from bidder.telemetry import process
from bidder.telemetry.process import Telemetry
from tests.free_ports import free_port
from tests.watched import Watched, status

Scene = Callable[[Telemetry, str], Awaitable[None]]


def window(seq: int, n: int) -> Deltas:
    zeros = dict.fromkeys(Row.__struct_fields__, 0)
    return Deltas("host/bidder", 1, seq, seq * 1_000, [Row(**(zeros | {"kind": Kind.REQUEST, "exchange": 1, "n": n}))])


def play(
    tmp_path: Path, scene: Scene, port: int, says: Callable[[], dict[str, Any]] = lambda: status() | {"workers": []}
) -> None:
    (tmp_path / "run").mkdir()
    settings = replace(Settings(), bidder=replace(Bidder(), metrics_listen=f"127.0.0.1:{port}"))

    async def live() -> None:
        telemetry = Telemetry(tmp_path, settings, says)
        running = asyncio.ensure_future(telemetry.run())
        try:
            await asyncio.wait_for(scene(telemetry, f"http://127.0.0.1:{port}"), 20)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(live())


async def fetch(url: str) -> tornado.httpclient.HTTPResponse:
    """As soon as somebody answers."""
    client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
    while True:
        try:
            return await client.fetch(url, raise_error=False)
        except OSError:
            await asyncio.sleep(0.01)


def test_a_scrape_is_of_this_moment(tmp_path: Path) -> None:
    async def scene(telemetry: Telemetry, url: str) -> None:
        for seq in (1, 2):
            telemetry.window(window(seq, 5))
            answer = await fetch(f"{url}/metrics")
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            samples = {s.name: s.value for family in parsed(answer.body.decode()) for s in family.samples}
            assert samples["outbid_requests_total"] == 5 * seq
        assert (await fetch(f"{url}/healthz")).code == 200
        facts = telemetry.facts()
        assert facts["live"]["requests_per_s"] == 5
        assert (facts["alerts"], facts["metrics"]) == ([], f"{url}/metrics")

    play(tmp_path, scene, free_port())


def test_a_port_that_another_program_has_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BIND_S", 0.02)
    taken = socket.create_server(("127.0.0.1", 0))

    async def scene(telemetry: Telemetry, url: str) -> None:
        await asyncio.sleep(0.05)
        taken.close()
        assert (await fetch(f"{url}/metrics")).code == 200

    play(tmp_path, scene, taken.getsockname()[1])


def test_a_look_that_fails_costs_a_look(tmp_path: Path) -> None:
    asked = []

    def says() -> dict[str, Any]:
        asked.append(1)
        if len(asked) < 2:
            raise RuntimeError
        return status()

    async def scene(telemetry: Telemetry, url: str) -> None:
        while len(asked) < 2:
            await asyncio.sleep(0.01)
        assert (await fetch(f"{url}/metrics")).code == 200

    play(tmp_path, scene, free_port(), says)


def test_a_process_of_another_build_that_says_less_is_shown_with_what_it_says() -> None:
    host = Watched()
    for said in host.processes.values():
        said["facts"] = {}
        said.pop("gc_max_s")
    families = {family.name: family for family in host.families()}
    assert not list(families["outbid_process_gc_pause_max_seconds"].samples())
    assert not list(families["outbid_reports_age_seconds"].samples())
    assert len(list(families["outbid_process_resident_bytes"].samples())) == 4
