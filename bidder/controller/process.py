"""The controller process: watches `config`, publishes books, answers lease syncs.

One thread talks to Postgres and memcached (both block), one event loop serves HTTP
and announces. Everything here may be away for a while: bidders go on with the book
and the leases that they have.
"""

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg2
import tornado.httpserver
import zmq
import zmq.asyncio
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheError

from bidder.campaigns.publish import MANIFEST_PREFIX, Manifest, Publication, publication
from bidder.campaigns.rates import Rates
from bidder.controller import audit, curves, store
from bidder.controller.application import application
from bidder.controller.leases import LeaseOffice
from bidder.controller.rates import RateFile
from bidder.events.schema import BOOK_TOPIC, BookAnnouncement
from bidder.money.wire import LeaseState, LeaseSync
from bidder.ops import log as logs
from bidder.ops.audit import AuditRecord
from bidder.ops.presence import Presence
from bidder.ops.vitals import Vitals
from bidder.settings import Settings, address

RECONNECT_S = 1.0
LEARN_EVERY_S = 15.0  # looks for an hour of traffic that is over; one an hour in the long run
MEMCACHED_TIMEOUT_S = 0.5


class Database:
    """One connection to Postgres for the controller's thread; opened again after a failure."""

    def __init__(self, dsn: str, office: LeaseOffice, settings: Settings) -> None:
        self._dsn = dsn
        self._office = office
        self._settings = settings
        self._db: psycopg2.extensions.connection | None = None

    def _open(self) -> psycopg2.extensions.connection:
        if self._db is None or self._db.closed:
            self._db = psycopg2.connect(self._dsn, connect_timeout=3, application_name="outbid controller")
            self._office.forget()
            rows = {name: (row.key, row.spend_on) for name, row in self._settings.exchanges.items()}
            store.sync_exchanges(self._db, rows)
        return self._db

    def close(self) -> None:
        """Give the connection up; the next call opens another."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def revision(self) -> int:
        """Newest revision of `config`."""
        return store.revision(self._open())

    def raise_revision(self) -> int:
        """Books change for a reason that is not in `config`."""
        return store.raise_revision(self._open())

    def read(self, rates: Rates | None) -> Publication:
        """All campaigns, ready to be published with these rates."""
        now = datetime.now(UTC)
        revision, records, arms = store.read_records(self._open(), now)
        exchanges = {name: row.key for name, row in self._settings.exchanges.items()}
        return publication(revision, records, exchanges, int(now.timestamp() * 1000), rates, arms)

    def learn(self) -> None:
        """When traffic comes, from one more hour that is over."""
        if curves.learn(self._open(), datetime.now(UTC)):
            self._office.learned()

    def sync(self, request: LeaseSync) -> LeaseState:
        """One host's leases."""
        return self._office.sync(self._open(), request, datetime.now(UTC))

    def audit(self, records: list[AuditRecord]) -> None:
        """What a host has done."""
        audit.keep(self._open(), records)


class Controller:
    """Everything that the handlers share."""

    def __init__(self, state: Path, settings: Settings, dsn: str) -> None:
        self.settings = settings
        self.log = logs.get("controller")
        self._rates = RateFile(state, settings.currency, self.log)
        self.published: Publication | None = None
        self.database = Database(dsn, LeaseOffice(settings.money, time.monotonic), settings)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres")
        servers = [address(server) for server in settings.memcached.servers]
        self._memcached = (
            HashClient(servers, connect_timeout=MEMCACHED_TIMEOUT_S, timeout=MEMCACHED_TIMEOUT_S, ignore_exc=True)
            if servers
            else None
        )
        self._announcer = zmq.asyncio.Context.instance().socket(zmq.PUB)
        self._announcer.setsockopt(zmq.LINGER, 0)
        self._healthy = True

    @property
    def ready(self) -> bool:
        """Has a book, and could reach Postgres last time."""
        return self.published is not None and self._healthy

    def facts(self) -> dict[str, int]:
        """For its vitals."""
        return {"published": self.published.manifest.revision if self.published else 0, "healthy": int(self._healthy)}

    def bind(self) -> None:
        """Open the announcements' door."""
        host, port = address(self.settings.controller.announce_listen)
        self._announcer.bind(f"tcp://{host}:{port}")

    def _store(self, ready: Publication) -> None:
        """Into memcached; what does not get there is served over HTTP."""
        if self._memcached is None:
            return
        try:
            for key, blob in ready.blobs.items():
                self._memcached.set(key, blob, noreply=False)
        except (MemcacheError, OSError) as error:
            self.log.warning("memcached did not take the book", error=str(error))

    def _publish(self) -> Publication | None:
        """On the thread: a new publication where `config` or the exchange rates have changed since the last."""
        revision = self.database.revision()
        rates = self._rates.current(datetime.now(UTC))
        if self.published is not None:
            before: Manifest | None = self.published.manifest
        else:
            before = self._stored(revision)
        if rates != (None if before is None else before.rates):
            self.database.raise_revision()
        elif self.published is not None and revision == self.published.manifest.revision:
            return None
        ready = self.database.read(rates)
        self._store(ready)
        return ready

    def _stored(self, revision: int) -> Manifest | None:
        """What was published under this revision, as far as memcached knows."""
        if self._memcached is None:
            return None
        try:
            blob = self._memcached.get(f"{MANIFEST_PREFIX}{revision}")
            return None if blob is None else msgspec.msgpack.decode(blob, type=Manifest)
        except (MemcacheError, OSError, msgspec.DecodeError):
            return None

    async def watch(self) -> None:
        """Publish every change soon after it was made; announce the newest again and again, for who missed it."""
        loop = asyncio.get_running_loop()
        learn_at = 0.0
        while True:
            try:
                ready = await loop.run_in_executor(self._thread, self._publish)
                if time.monotonic() >= learn_at:
                    learn_at = time.monotonic() + LEARN_EVERY_S
                    await loop.run_in_executor(self._thread, self.database.learn)
                self._healthy = True
            except (psycopg2.Error, ValueError) as error:
                self._failed("cannot publish", error)
                await asyncio.sleep(RECONNECT_S)
                continue
            if ready is not None:
                self.published = ready
                self.log.info("published", revision=ready.manifest.revision, shards=len(ready.manifest.shards))
            if self.published is not None:
                message = BookAnnouncement(self.published.manifest.revision, self.published.manifest_key)
                await self._announcer.send_multipart([BOOK_TOPIC, msgspec.msgpack.encode(message)])
            await asyncio.sleep(self.settings.controller.poll_s)

    async def sync(self, request: LeaseSync) -> LeaseState:
        """Leases of one host; psycopg2.Error where Postgres is away."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self.database.sync, request)
        except psycopg2.Error as error:
            self._failed("cannot grant leases", error)
            raise

    async def audit(self, records: list[AuditRecord]) -> None:
        """Keep what a host has done; psycopg2.Error where Postgres is away."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.database.audit, records)
        except psycopg2.Error as error:
            self._failed("cannot keep the audit", error)
            raise

    def _failed(self, what: str, error: Exception) -> None:
        self._healthy = False
        self._thread.submit(self.database.close)
        self.log.error(what, error=logs.first_line(error))

    def close(self) -> None:
        """Stop the thread and the socket."""
        self._thread.submit(self.database.close)
        self._thread.shutdown(wait=True)
        self._announcer.close()


async def _serve(state: Path, settings: Settings, dsn: str) -> None:
    controller = Controller(state, settings, dsn)
    controller.bind()
    server = tornado.httpserver.HTTPServer(application(controller), max_buffer_size=16 * 2**20)
    host, port = address(settings.controller.listen)
    server.listen(port, host)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(controller.watch())
    shown = Presence(state, "controller", f"http://{settings.controller.listen}")
    with shown, Vitals(state, "controller", controller.facts):
        controller.log.info("listening", address=settings.controller.listen)
        await stop.wait()
    watching.cancel()
    server.stop()
    controller.close()


def run(state: Path, settings: Settings, dsn: str) -> None:
    """The whole life of the process; returns after SIGTERM or SIGINT."""
    asyncio.run(_serve(state, settings, dsn))
