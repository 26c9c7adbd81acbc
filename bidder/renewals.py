"""What verbs and signals ask of a running bidder: a restart, its settings anew, workers that stop and start.

outbid restart, SIGUSR2 -> Renewals -> bidder/restart.py; outbid reload, SIGHUP -> bidder/reload.py, then the same
"""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bidder.openrtb.rows import exchange_rows
from bidder.ops import control
from bidder.ops import log as logs
from bidder.reload import changed, refuse_fixed
from bidder.restart import Restart
from bidder.settings import Settings
from bidder.workers import WorkerPool


class Renewals:
    """Of one supervisor. `read()`: the settings as they are written now."""

    def __init__(
        self,
        state: Path,
        settings: Settings,
        restart: Restart,
        workers: WorkerPool,
        read: Callable[[], Settings] | None,
    ) -> None:
        self._state = state
        self._settings = settings
        self._restart = restart
        self._workers = workers
        self._read = read
        self._log = logs.get("supervisor")

    def handlers(self) -> dict[str, control.Handler]:
        """What verbs ask for."""
        return {
            "restart": self._begin,
            "restarting": self._restart.answer,
            "reload": self._reload,
            "stop_workers": self._stop_workers,
            "start_workers": self._start_workers,
        }

    def hear_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """The same, of whoever has no verb."""
        loop.add_signal_handler(signal.SIGUSR2, self._by_signal, self._begin, "SIGUSR2")
        loop.add_signal_handler(signal.SIGHUP, self._by_signal, self._reload, "SIGHUP")

    def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"number": self._restart.begin(request.get("build"), control.actor_of(request)).number}

    def _reload(self, request: dict[str, Any]) -> dict[str, Any]:
        """Read the settings again; where they can be used, everything here is renewed with them."""
        try:
            settings = self._settings if self._read is None else self._read()
            names = changed(self._settings, settings)
            refuse_fixed(names)
            exchange_rows(settings.exchanges, settings.tracking.public_url, state=self._state)
        except ValueError as error:
            raise control.ControlError(str(error)) from None
        if not names:
            return {"changed": [], "number": 0}
        return {"changed": names, "number": self._restart.begin_reload(names, control.actor_of(request)).number}

    async def _stop_workers(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._restart.is_under_way:
            raise control.ControlError("a restart is under way; ask again when it is done")
        await self._workers.stop()
        return {"stopped": True}

    def _start_workers(self, request: dict[str, Any]) -> dict[str, Any]:
        self._workers.start()
        return {"started": True}

    def _by_signal(self, do: Callable[[dict[str, Any]], object], name: str) -> None:
        try:
            do({"actor": name})
        except control.ControlError as error:
            self._log.error(f"{name}: nothing is changed", error=str(error))
