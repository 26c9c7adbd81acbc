"""Telemetry of a host: one task of its supervisor, that looks each second and answers scrapes.

window(Deltas) -> totals, live; each second: look (on a thread) -> families -> alerts, StatsD; GET /metrics -> the text
Bidding depends on none of it: a port that another program has is logged and tried again, a failure costs one look.
"""

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import tornado.httpserver
import tornado.web

from bidder.events.live import RECENT, Live
from bidder.events.schema import Deltas
from bidder.events.totals import Totals, summed
from bidder.money.clock_watch import ClockSteps
from bidder.ops import log as logs
from bidder.ops.alert_rules import Rule, runbook
from bidder.ops.alerts import Watch
from bidder.ops.metrics import CONTENT_TYPE, AnyFamily, counter, render
from bidder.ops.statsd import Statsd
from bidder.ops.vitals import Vitals
from bidder.settings import Settings, address
from bidder.telemetry.gather import gather, look

EVERY_S = 1.0
BIND_S = 5.0  # then a port that was taken is tried again


class _Metrics(tornado.web.RequestHandler):
    def initialize(self, telemetry: "Telemetry") -> None:
        self._telemetry = telemetry

    async def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(render(await self._telemetry.families()))


class _Alive(tornado.web.RequestHandler):
    def get(self) -> None:
        self.finish({"alive": True, "ready": True})


class Telemetry:
    """`status()`: what the supervisor answers when it is asked how it is, within microseconds."""

    def __init__(self, state: Path, settings: Settings, status: Callable[[], dict[str, Any]]) -> None:
        self._state = state
        self._listen = settings.bidder.metrics_listen
        self._status = status
        self._log = logs.get("supervisor")
        self._names = {row.key: name for name, row in settings.exchanges.items()}
        self._totals = Totals(self._names)
        self._live = Live()
        self._spent: deque[float] = deque(maxlen=RECENT + 1)  # USD in all, as of the last windows
        self._watch = Watch(self._changed)
        self._statsd = (
            Statsd(settings.metrics.statsd, settings.metrics.statsd_tags) if settings.metrics.statsd else None
        )
        self._jumps = counter("outbid_clock_jumps_total", "How often the wall clock was set.", 0)
        self._clock = ClockSteps()

    def window(self, deltas: Deltas) -> None:
        """One that was closed, once."""
        told = msgspec.structs.replace(deltas, rows=summed(deltas.rows))
        self._totals.add(told)
        self._live.add(told)
        self._spent.append(sum(self._totals.spend.values.values()))

    def facts(self) -> dict[str, Any]:
        """For status: alerts that are on, and the last seconds in figures."""
        live = self._live.snapshot(self._names)
        live.pop("points")
        live["spend_usd_per_s"] = self._spend_usd_per_s()
        metrics = f"http://{self._listen}/metrics" if self._listen else None
        return {"alerts": self._watch.on(time.monotonic()), "live": live, "metrics": metrics}

    def _spend_usd_per_s(self) -> float:
        return (self._spent[-1] - self._spent[0]) / max(1, len(self._spent) - 1) if self._spent else 0.0

    async def families(self) -> list[AnyFamily]:
        """All of this moment."""
        loop = asyncio.get_running_loop()
        sight = await loop.run_in_executor(None, look, self._state, time.monotonic())
        families = [*self._totals.families(), *gather(sight, self._status()), self._jumps, self._watch.family()]
        if self._statsd is not None:
            families.append(self._statsd.family())
        return families

    async def run(self) -> None:
        """Until cancelled."""
        with Vitals(self._state, "supervisor", lambda: {"alerts": self._watch.names()}):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._every_second())
                if self._listen:
                    tasks.create_task(self._serve())
                if self._statsd is not None:
                    tasks.create_task(self._statsd.run())

    async def _every_second(self) -> None:
        while True:
            due = time.monotonic() + EVERY_S
            self._watch_clock(time.time(), time.monotonic())
            try:
                families = await self.families()
                self._watch.look(time.monotonic(), families)
                if self._statsd is not None:
                    self._statsd.send(families)
            except Exception as error:  # whatever it is: bids go on
                self._log.exception("no look at the metrics", exc=error)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _watch_clock(self, wall_s: float, monotonic_s: float) -> None:
        if step := self._clock.look(wall_s, monotonic_s):
            self._jumps.add(1)
            self._log.error("the clock was set", seconds=round(step))

    def _changed(self, rule: Rule, is_on: bool) -> None:
        say = self._log.error if is_on else self._log.info
        say("alert" if is_on else "alert is over", alert=rule.name, says=rule.says, runbook=runbook(rule.name))

    async def _serve(self) -> None:
        application = tornado.web.Application(
            [("/metrics", _Metrics, {"telemetry": self}), ("/healthz", _Alive), ("/readyz", _Alive)],
            log_function=lambda handler: None,
        )
        host, port = address(self._listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        while True:
            try:
                listening = socket.create_server((host, port), family=family)
                break
            except OSError as error:
                self._log.error("no /metrics", address=self._listen, error=error.strerror)
                await asyncio.sleep(BIND_S)
        server = tornado.httpserver.HTTPServer(application)
        listening.setblocking(False)
        server.add_socket(listening)
        try:
            await asyncio.Event().wait()
        finally:
            server.stop()
            with contextlib.suppress(Exception):
                await server.close_all_connections()
