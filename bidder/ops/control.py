"""Control sockets: how an operator's verb asks a running process to do something.

`<state>/run/<name>.sock`, mode 0600: one JSON object a line in, one a line out.
ask(path, {"do": "flush"}, timeout_s) -> handlers["flush"](request) -> {...}
An answer {"error": "..."} is raised by `ask` as Refused, a ControlError, in one line that says where.
"""

import asyncio
import contextlib
import errno
import fcntl
import inspect
import json
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bidder.ops.log import get
from bidder.ops.packets import Place

MAX_REQUEST = 65_536  # bytes of one line
MAX_ANSWER = 16 * 1024 * 1024
CLOSE_S = 1.0  # that answers under way may take when the process ends

Answer = dict[str, Any]
Handler = Callable[[dict[str, Any]], Answer | Awaitable[Answer]]


class ControlError(Exception):
    """The other process cannot be asked, or says no; the message is one line for an operator."""


class Refused(ControlError):
    """The other process has heard, and says no."""


def actor_of(request: Mapping[str, Any]) -> str:
    """Who asks, as `bidder.cli.context.ask` says it."""
    return str(request.get("actor", "unknown"))


def _place(path: Path) -> Place:
    try:
        return Place(path)
    except OSError as error:
        raise ControlError(f"{path.parent}: {error.strerror}") from None


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`; what a dead process left there is replaced, a living one is not."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _place(path) as place:
        fcntl.flock(place.directory, fcntl.LOCK_EX)  # of two that start at once, the second finds the first
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            found = probe.connect_ex(place.address)
        if found == errno.ECONNREFUSED:
            os.unlink(path.name, dir_fd=place.directory)
        elif found != errno.ENOENT:
            raise ControlError(f"{path}: another {path.stem} runs on this state directory")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(place.address)
            os.chmod(path.name, 0o600, dir_fd=place.directory)  # before listen: until then nobody can connect
            listener.listen(64)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise ControlError(f"{path}: {error.strerror}") from None
    return listener


class ControlServer:
    """A served control socket; `close()` removes it."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._log = get(path.stem)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._listener: socket.socket | None = None
        self._inode = 0

    async def start(self, listener: socket.socket | None) -> None:
        if listener is None:
            listener = _listen(self._path)
        listener.setblocking(False)
        self._listener = listener
        self._inode = self._path.stat().st_ino
        # Python 3.13 would remove the file by itself, also where a successor goes on listening.
        kept: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        self._server = await asyncio.start_unix_server(self._converse, sock=listener, limit=MAX_REQUEST, **kept)

    async def close(self) -> None:
        """Stop listening, let answers under way finish for a moment, remove the socket."""
        if self._server is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # a successor may already have put its own there
                self._path.unlink()
        await self._end()

    async def hand_over(self) -> int:
        """Stop answering; a descriptor of the socket, which goes on listening: who asks now waits for a successor."""
        assert self._listener is not None
        kept = os.dup(self._listener.fileno())
        await self._end()
        return kept

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while self._server is not None and (line := await reader.readline()):
                answer = await self._answer(line)
                writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # the peer has gone, or its line had no end; there is nobody to tell
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
        except ValueError:
            return {"error": "a request is one JSON object a line"}
        if not isinstance(request, dict) or not isinstance(request.get("do"), str):
            return {"error": 'a request is a JSON object with "do"'}
        handler = self._handlers.get(request["do"])
        if handler is None:
            return {"error": f"cannot do {request['do']!r}; can do {', '.join(sorted(self._handlers))}"}
        try:
            answer = handler(request)
            if inspect.isawaitable(answer):
                answer = await answer
        except ControlError as error:
            return {"error": str(error)}
        except Exception as error:
            self._log.exception("control request failed", do=request["do"])
            return {"error": f"{request['do']}: {type(error).__name__} (a bug; the log has the place)"}
        return answer


async def serve(path: Path, handlers: Mapping[str, Handler], listener: socket.socket | None = None) -> ControlServer:
    """Answer at `path` on the running loop. A handler gets the request and returns (or awaits) the answer;
    it says no by raising ControlError. ControlError also if a living process has the socket.

    `listener`: listens at `path` already, as `ControlServer.hand_over` left it.
    """
    server = ControlServer(path, handlers)
    await server.start(listener)
    return server


def ask(path: Path, request: Mapping[str, Any], timeout_s: float) -> Answer:
    """Send one request and wait for its answer. Blocks: not for use on the loop that serves `path`."""
    deadline = time.monotonic() + timeout_s
    with _place(path) as place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        try:
            peer.settimeout(timeout_s)
            peer.connect(place.address)
            peer.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            line = bytearray()
            while not line.endswith(b"\n"):
                peer.settimeout(max(0.001, deadline - time.monotonic()))
                part = peer.recv(65_536)
                if not part:
                    raise ControlError(f"{path}: {path.stem} closed the connection before it answered")
                line += part
                if len(line) > MAX_ANSWER:
                    raise ControlError(f"{path}: {path.stem} answered with more than {MAX_ANSWER} bytes")
        except TimeoutError:
            raise ControlError(f"{path}: no answer from {path.stem} within {timeout_s:g} s") from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"{path}: {path.stem} is not running") from None
        except OSError as error:
            raise ControlError(f"{path}: {error.strerror}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ControlError(f"{path}: {path.stem} answered with something other than a JSON object")
    if "error" in answer:
        raise Refused(f"{path.stem}: {answer['error']}")
    return answer
