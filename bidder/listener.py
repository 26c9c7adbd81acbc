"""The bid port of one worker: accept, serve, stop without failing a request.

Listener (accepts, while the worker holds no more than its share) -> BidServer (connections, limits, timeouts, overload)
  -> reactor (sockets) -> compiled protocol -> BidHandler for /bid/, the Tornado application for the rest.

The listening socket belongs to the supervisor and is shared by its workers: a pause leaves
new connections in its queue for the others. Times are seconds of the loop's clock.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable

from tornado.httputil import HTTPServerConnectionDelegate

from bidder._fast import favour
from bidder._fast.admission import Admission
from bidder._fast.handler import BidHandler
from bidder._fast.http import Connections
from bidder._fast.reactor import Reactor
from bidder.admission import STEP_S, TURN_PER_S, Control, Sample, Valves
from bidder.ops.descriptors import RETRY_S, ExhaustedError, accept
from bidder.tornado_bridge import TornadoRoute

SWEEP_S = 0.5  # timeouts are looked at this often, for all connections at once
FULL_S = 0.002  # then a worker that held its share looks again

log = logging.getLogger("bidder.http")


class Overload:
    """Steps the control of overload, and has the connections do what it says. Times: s, of any monotonic clocks."""

    def __init__(self, connections: Connections, admission: Admission) -> None:
        self._connections = connections
        self._admission = admission
        self._control = Control()
        self._now = self._cpu = 0.0

    def begin(self, now: float, cpu: float) -> None:
        """From here on `step` is called every STEP_S. `cpu`: time that the worker's thread was on a processor."""
        self._now, self._cpu = now, cpu

    def step(self, now: float, cpu: float) -> None:
        """While everybody is read and served this looks at no connection."""
        busy = (cpu - self._cpu) / (now - self._now) if now > self._now else 0.0
        self.begin(now, cpu)
        lanes, least_wait_ns = self._admission.sample()
        was_open = self._control.valves.open
        valves = self._control.step(Sample(lanes, least_wait_ns, busy))
        if not (valves.open and was_open):
            self._sort(now, valves)

    def end(self, now: float) -> None:
        """Everybody is read and served, as long as `step` is not called."""
        self._sort(now, Valves())

    def _sort(self, now: float, valves: Valves) -> None:
        ranking = self._control.ranking()
        favour.sort(self._connections, now, valves.read_to, valves.serve_to, ranking, now * TURN_PER_S % 1)


class BidServer:
    """All connections of a worker."""

    def __init__(
        self,
        handler: BidHandler,
        application: HTTPServerConnectionDelegate,
        *,
        max_body_bytes: int = 262_144,
        header_s: float = 10.0,
        body_s: float = 2.0,
        body_total_s: float = 10.0,
        idle_s: float = 160.0,
    ) -> None:
        """`header_s`: for a whole head; `body_s`: without progress; `body_total_s`: for a whole body; `idle_s`:
        between two requests."""
        self._emptied = asyncio.Event()
        self._reactor: Reactor | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._stepper: asyncio.TimerHandle | None = None
        self._admission = handler.admission
        self._connections = Connections(
            handler,
            TornadoRoute(application),
            on_empty=self._became_empty,
            max_body_bytes=max_body_bytes,
            header_s=header_s,
            body_s=body_s,
            body_total_s=body_total_s,
            idle_s=idle_s,
        )
        self._overload = Overload(self._connections, self._admission)

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._connections.count

    @property
    def refused(self) -> int:
        """Requests answered without being read to the end: framing, size, time."""
        return self._connections.refused

    @property
    def unread(self) -> int:
        """Connections that are not read for a while, for want of time: at most a second each."""
        return self._connections.unread

    def held_by(self, host: str) -> int:
        """Connections of this peer address."""
        return self._connections.held_by(host)

    def stalled(self, began_ns: int) -> None:
        """The loop did something else since then (monotonic ns): what has come meanwhile has waited."""
        self._admission.stalled(began_ns)

    def open(self, connection: socket.socket) -> None:
        """Serve this one, which is ours from now on. Sweeping runs while there is any."""
        loop = asyncio.get_running_loop()
        if self._reactor is None:
            self._reactor = Reactor(loop, self._connections)
        self._reactor.open(connection, self._connections.protocol())
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP_S, self._sweep, loop)
            self._overload.begin(loop.time(), time.thread_time())
            self._stepper = loop.call_later(STEP_S, self._step, loop)

    def close_idle(self) -> int:
        """Close what is between two requests, at once; how many."""
        return self._connections.close_idle()

    def release_idle(self) -> list[socket.socket]:
        """What is between two requests: open, and not ours any more. Whatever comes there is the next owner's."""
        return self._connections.release_idle()

    async def drain(self, *, idle_grace_s: float = 0.1, give_up_s: float = 10.0) -> int:
        """Serve what has begun, say `Connection: close`, return when no connection is left.

        `idle_grace_s`: how long an idle connection may still bring a request before it is closed. The
        default is enough for what lies in the socket already; with a longer one the connections of a busy client end
        politely, each with an answer. After `give_up_s` what is left is dropped, and its number
        returned. The listener must have been closed before.
        """
        self._connections.draining = True
        if self._stepper is not None:
            self._stepper.cancel()
        self._overload.end(asyncio.get_running_loop().time())
        if not await self._empty_within(idle_grace_s):
            self._connections.close_idle()
        if await self._empty_within(give_up_s):
            return 0
        dropped = self._connections.abort()
        await self._empty_within(give_up_s)
        log.warning("drained, but for %d connections that were dropped after %s s", dropped, give_up_s)
        return dropped

    async def _empty_within(self, seconds: float) -> bool:
        if self.connections and seconds > 0:
            self._emptied.clear()
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except TimeoutError:
                return False
        return self.connections == 0

    def _became_empty(self) -> None:
        self._emptied.set()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._connections.sweep(loop.time())
        again = self.connections > 0
        self._sweeper = loop.call_later(SWEEP_S, self._sweep, loop) if again else None
        if not again and self._stepper is not None:
            self._stepper.cancel()

    def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stepper = loop.call_later(STEP_S, self._step, loop)
        self._overload.step(loop.time(), time.thread_time())


class Listener:
    """Accepts from a listening socket that other processes accept from as well. Paused until `resume`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        server: BidServer,
        *,
        share: Callable[[int], int | None] = lambda connections: None,
        batch: int = 4,
        per_peer: int = 0,
    ) -> None:
        """`per_peer`: connections that one address may hold here, more are closed at once (but for those that come
        together with the last one, a batch at most); 0: any number.
        `share(connections)`: how many this worker may hold, now that it holds so many; None: any number.
        `batch`: connections taken per wake-up; few, so that all workers get theirs. The caller closes the socket.
        """
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._server = server
        self._batch = batch
        self._share = share
        self._per_peer = per_peer
        self._turned_away = 0
        self._wanted = False
        self._accepting = False
        self._retry: asyncio.TimerHandle | None = None
        self._exhausted = False
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def accepting(self) -> bool:
        """False while paused, full, or out of file descriptors."""
        return self._accepting

    @property
    def turned_away(self) -> int:
        """Connections closed at once, because their peer held too many."""
        return self._turned_away

    def resume(self) -> None:
        """Accept while the server holds fewer connections than its share. May be called again."""
        self._wanted = True
        self._go()

    def pause(self) -> None:
        """Accept nothing until `resume`; what waits in the socket's queue is left to the other workers."""
        self._wanted = False
        self._stop()

    def close(self) -> None:
        """Pause for good."""
        self.pause()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def _go(self) -> None:
        if not self._wanted or self._retry is not None or self._accepting:
            return
        if self._full():
            self._wait_for_a_share()
            return
        self._accepting = True
        self._loop.add_reader(self._sock, self._accept)

    def _wait_for_a_share(self) -> None:
        """The others are to take what waits; their taking it raises our share again."""
        self._stop()
        self._retry = self._loop.call_later(FULL_S, self._look_again)

    def _look_again(self) -> None:
        self._retry = None
        self._go()

    def _stop(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._sock)

    def _full(self) -> bool:
        held = self._server.connections
        share = self._share(held)
        return share is not None and held >= share

    def _accept(self) -> None:
        for _ in range(self._batch):
            if self._full():
                self._wait_for_a_share()
                return
            try:
                came = accept(self._sock)
            except ExhaustedError as error:
                self._wait_for_a_descriptor(error)
                return
            if came is None:
                return
            connection, address = came
            if self._exhausted:
                self._exhausted = False
                log.warning("accepting again")
            if self._per_peer and isinstance(address, tuple) and self._server.held_by(address[0]) >= self._per_peer:
                self._turned_away += 1
                connection.close()
                continue
            connection.setblocking(False)
            if connection.family in (socket.AF_INET, socket.AF_INET6):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._server.open(connection)

    def _wait_for_a_descriptor(self, error: OSError) -> None:
        """The reserve goes back to the process meanwhile."""
        if not self._exhausted:
            self._exhausted = True
            log.error(
                "cannot accept: %s; trying every %s s, %d connections open", error, RETRY_S, self._server.connections
            )
        self._stop()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        self._retry = self._loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._retry = self._loop.call_later(RETRY_S, self._try_again)
            return
        self._retry = None
        self._go()
