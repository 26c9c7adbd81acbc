"""Tells the controller what a host has recorded: POST /audit, a batch of records as a JSON array.

What is acknowledged is in Postgres. What the controller cannot take now waits in the file, and is told again; it
stores each (host, seq) once.
"""

import asyncio

import msgspec
import tornado.httpclient

from bidder.ops import log as logs
from bidder.ops.audit import AuditRecord, AuditTrail

BATCH = 200  # records of one message
LOOK_S = 0.5
AGAIN_S = 2.0  # after a controller that did not take them
TIMEOUT_S = 5.0


class AuditSender:
    """Tells the controller at `url` what was recorded; one for a state directory, in its supervisor."""

    def __init__(self, trail: AuditTrail, url: str) -> None:
        self._trail = trail
        self._url = f"{url}/audit"
        self._client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        self._log = logs.get("audit")
        self._sent = trail.sent
        self._waiting: list[AuditRecord] = []
        self._seen = (0, 0)  # the file as it was when it was last read
        self._away = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            told = await self.tell()
            await asyncio.sleep(LOOK_S if told else AGAIN_S)

    async def tell(self) -> bool:
        """Everything that waits; False where the controller did not take it."""
        changed = self._trail.changed()
        if changed != self._seen:
            self._seen = changed
            try:
                self._waiting = self._trail.read(after=self._sent)
            except OSError as error:  # it is read again when it has changed; bids go on without it
                self._log.error("the audit trail cannot be read", error=error.strerror)
        while self._waiting:
            batch = self._waiting[:BATCH]
            if not await self._post(batch):
                return False
            self._sent = batch[-1].seq
            del self._waiting[: len(batch)]
            try:
                self._trail.acknowledge(self._sent)
            except OSError as error:  # they are sent once more by the next supervisor, and stored once
                self._log.error("the audit trail cannot be written", error=error.strerror)
        return True

    async def _post(self, batch: list[AuditRecord]) -> bool:
        try:
            await self._client.fetch(
                self._url, method="POST", body=msgspec.json.encode(batch), request_timeout=TIMEOUT_S
            )
        except (tornado.httpclient.HTTPClientError, OSError) as error:
            if not self._away:
                self._log.warning("the audit waits for the controller", records=len(self._waiting), error=str(error))
            self._away = True
            return False
        self._away = False
        return True
