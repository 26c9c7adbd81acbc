"""The controller's doors: health, book blobs, leases, the audit, and what partners may know."""

from typing import Protocol

import msgspec
import psycopg2
import tornado.web

from bidder.campaigns.publish import Publication
from bidder.money.wire import LeaseState, LeaseSync
from bidder.ops.audit import AuditRecord


class Office(Protocol):
    """What the handlers need of the controller."""

    @property
    def ready(self) -> bool:
        """Has a book, and could reach Postgres last time."""

    @property
    def published(self) -> Publication | None:
        """The newest book."""

    async def sync(self, request: LeaseSync) -> LeaseState:
        """One host's leases; psycopg2.Error where Postgres is away."""

    async def audit(self, records: list[AuditRecord]) -> None:
        """Keep what a host has done; psycopg2.Error where Postgres is away."""


class _Handler(tornado.web.RequestHandler):
    def initialize(self, controller: Office) -> None:
        self.controller = controller

    def write_error(self, status_code: int, **kwargs: object) -> None:
        self.finish({"error": self._reason})


class Health(_Handler):
    """Alive."""

    def get(self) -> None:
        self.finish({"alive": True})


class Ready(_Handler):
    """Can do its job now."""

    def get(self) -> None:
        self.set_status(200 if self.controller.ready else 503)
        self.finish({"ready": self.controller.ready})


class Latest(_Handler):
    """Which book is the newest."""

    def get(self) -> None:
        ready = self.controller.published
        if ready is None:
            raise tornado.web.HTTPError(503, reason="no book has been published yet")
        self.finish({"revision": ready.manifest.revision, "manifest": ready.manifest_key})


class Blob(_Handler):
    """A manifest or a shard, as memcached would give it."""

    def get(self, key: str) -> None:
        ready = self.controller.published
        blob = None if ready is None else ready.blobs.get(key)
        if blob is None:
            raise tornado.web.HTTPError(404, reason="not part of the newest book")
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(blob)


class Leases(_Handler):
    """One host's leases; see bidder.money.wire."""

    async def post(self) -> None:
        try:
            request = msgspec.msgpack.decode(self.request.body, type=LeaseSync)
        except msgspec.DecodeError as error:
            raise tornado.web.HTTPError(400, reason="not a LeaseSync") from error
        try:
            answer = await self.controller.sync(request)
        except psycopg2.Error as error:
            raise tornado.web.HTTPError(503, reason="Postgres is away") from error
        self.set_header("Content-Type", "application/msgpack")
        self.finish(msgspec.msgpack.encode(answer))


class Audit(_Handler):
    """What a host has done; each record is stored once, however often it is told."""

    async def post(self) -> None:
        try:
            records = msgspec.json.decode(self.request.body, type=list[AuditRecord])
        except msgspec.DecodeError as error:
            raise tornado.web.HTTPError(400, reason="not a list of audit records") from error
        try:
            await self.controller.audit(records)
        except psycopg2.Error as error:
            raise tornado.web.HTTPError(503, reason="Postgres is away") from error
        self.finish({"stored": len(records)})


class Information(_Handler):
    """The information service: what partners may know of the campaigns that are published."""

    def get(self) -> None:
        ready = self.controller.published
        if ready is None:
            raise tornado.web.HTTPError(503, reason="no book has been published yet")
        manifest = ready.manifest
        self.finish({"revision": manifest.revision, "created_ms": manifest.created_ms, "exchanges": manifest.exchanges})


def application(controller: Office) -> tornado.web.Application:
    """The controller's doors."""
    shared = {"controller": controller}
    return tornado.web.Application(
        [
            ("/healthz", Health, shared),
            ("/readyz", Ready, shared),
            ("/book/latest", Latest, shared),
            ("/book/([0-9a-z:]+)", Blob, shared),
            ("/info", Information, shared),
            ("/leases/sync", Leases, shared),
            ("/audit", Audit, shared),
        ],
        log_function=lambda handler: None,
    )
