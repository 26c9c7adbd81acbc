"""A TCP proxy that can be told to be slow, silent or gone: what a store behind a bad network looks like."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator


class SlowProxy:
    """In front of `behind` (host:port). `delay_s` is added to every answer; None: it never comes."""

    def __init__(self, behind: str) -> None:
        host, _, port = behind.rpartition(":")
        self._behind = (host, int(port))
        self.delay_s: float | None = 0.0
        self.answers = 0  # that came back from behind
        self._ended = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._behind)
            self._sockets += [near, far]
            if self._ended:
                near.close()
                far.close()
                return
            for source, sink, slow in ((near, far, False), (far, near, True)):
                thread = threading.Thread(target=self._pass, args=(source, sink, slow), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if slow:
                    self.answers += 1
                    if self.delay_s is None:
                        continue
                    time.sleep(self.delay_s)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Every connection breaks, and no new one is taken."""
        self._ended = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._sockets:
            one.close()


@contextlib.contextmanager
def in_front_of(address: str) -> Iterator[SlowProxy]:
    """Closed afterwards."""
    proxy = SlowProxy(address)
    try:
        yield proxy
    finally:
        proxy.close()
