"""The monitor process: a live page, from the bus and from what processes of this host say of themselves.

It listens to the bus like an aggregator, keeps two minutes, and asks nobody anything:
a page that is watched costs the bidders one more subscriber.
"""

import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import Any

import tornado.httpserver
import tornado.web

from bidder.events.bus import Subscriber
from bidder.events.live import Live
from bidder.events.schema import DELTAS_TOPIC
from bidder.ops import log as logs
from bidder.ops.alert_rules import RULES
from bidder.ops.presence import Presence, present
from bidder.ops.vitals import Vitals, read_all
from bidder.settings import Settings, address

PAGE = Path(__file__).parent / "page" / "index.html"


class _Health(tornado.web.RequestHandler):
    def get(self) -> None:
        self.finish({"alive": True, "ready": True})


class _Page(tornado.web.RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
        self.finish(PAGE.read_bytes())


class _Live(tornado.web.RequestHandler):
    def initialize(self, live: Live, state: Path, exchanges: dict[int, str]) -> None:
        self._live, self._state, self._exchanges = live, state, exchanges

    def get(self) -> None:
        said = {vitals["pid"]: vitals for vitals in read_all(self._state)}
        processes = [
            {key: row[key] for key in ("role", "pid", "build", "started")} | _shown(said.get(row["pid"]))
            for row in present(self._state)
        ]
        on = {name for vitals in said.values() for name in vitals["facts"].get("alerts", ())}
        alerts = [
            {"name": rule.name, "severity": rule.severity, "says": rule.says, "do": rule.do}
            for rule in RULES
            if rule.name in on
        ]
        self.finish({**self._live.snapshot(self._exchanges), "processes": processes, "alerts": alerts})


def _shown(vitals: dict[str, Any] | None) -> dict[str, Any]:
    """Of a process, what the page has a column for; None: it says nothing."""
    if vitals is None:
        return {"rss_bytes": None, "lag_max_s": None, "silent_s": None}
    silent_s = max(0.0, time.monotonic() - vitals["at"])
    return {"rss_bytes": vitals["rss_bytes"], "lag_max_s": vitals["lag_max_s"], "silent_s": round(silent_s, 1)}


async def _listen(subscriber: Subscriber, live: Live) -> None:
    while True:
        _, deltas = await subscriber.receive()
        live.add(deltas)


async def _serve(state: Path, settings: Settings) -> None:
    live = Live()
    subscriber = Subscriber(settings.bus.hosts or (settings.bidder.bus_listen,), [DELTAS_TOPIC])
    exchanges = {row.key: name for name, row in settings.exchanges.items()}
    application = tornado.web.Application(
        [
            ("/", _Page),
            ("/live.json", _Live, {"live": live, "state": state, "exchanges": exchanges}),
            ("/healthz", _Health),
            ("/readyz", _Health),
        ],
        log_function=lambda handler: None,
    )
    server = tornado.httpserver.HTTPServer(application)
    host, port = address(settings.monitor.listen)
    server.listen(port, host)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listening = asyncio.create_task(_listen(subscriber, live))
    with Presence(state, "monitor", f"http://{settings.monitor.listen}"), Vitals(state, "monitor"):
        logs.get("monitor").info("listening", address=settings.monitor.listen)
        await stop.wait()
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    server.stop()
    subscriber.close()


def run(state: Path, settings: Settings) -> None:
    """The whole life of the process; returns after SIGTERM or SIGINT."""
    asyncio.run(_serve(state, settings))
