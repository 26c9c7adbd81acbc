"""Control sockets: requests reach a running process, and "no" is one line."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bidder.ops.control import ControlError, ControlServer, Handler, ask, serve


def run(test: Callable[[], Awaitable[None]], loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(test(), 20))


async def asked(path: Path, request: dict[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    return await asyncio.to_thread(ask, path, request, timeout_s)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_request_reaches_its_handler_and_its_answer_comes_back(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    path = tmp_path / "run" / "tracker.sock"

    async def later(request: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"position": request["from"] + 1}

    async def test() -> None:
        server = await serve(path, {"health": lambda request: {"healthy": True}, "flush": later})
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await asked(path, {"do": "health"}) == {"healthy": True}
        assert await asked(path, {"do": "flush", "from": 41}) == {"position": 42}
        await server.close()
        assert not path.exists()
        with pytest.raises(ControlError, match="tracker is not running"):
            await asked(path, {"do": "health"})

    run(test, loop)


def test_a_no_is_raised_by_ask_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"

    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        raise ControlError("there is no role 'x'")

    def break_down(request: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("secret")

    handlers: dict[str, Handler] = {"stop": refuse, "bug": break_down}

    async def test() -> None:
        server = await serve(path, handlers)
        for request, message in (
            ({"do": "stop"}, "tracker: there is no role 'x'"),
            ({"do": "fly"}, "tracker: cannot do 'fly'; can do bug, stop"),
            ({"do": 1}, 'tracker: a request is a JSON object with "do"'),
            ({"do": "bug"}, "tracker: bug: KeyError (a bug; the log has the place)"),
        ):
            with pytest.raises(ControlError) as caught:
                await asked(path, request)
            assert str(caught.value) == message
        await server.close()

    run(test)


def test_a_line_that_is_no_request_or_never_ends_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"

    async def test() -> None:
        server = await serve(path, {"health": lambda request: {"healthy": True}})
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"{nonsense\n")
        assert json.loads(await reader.readline()) == {"error": "a request is one JSON object a line"}
        writer.write(b'{"do":"health"}\n{"do":"health"}\n')
        assert [json.loads(await reader.readline()) for _ in range(2)] == [{"healthy": True}] * 2
        writer.write(b"x" * 300_000)
        with pytest.raises(ConnectionError):
            await reader.read()
        writer.close()
        assert await asked(path, {"do": "health"}) == {"healthy": True}
        await server.close()

    run(test)


def test_a_state_directory_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 120) / "run" / "supervisor.sock"

    async def test() -> None:
        server = await serve(path, {"health": lambda request: {"healthy": True}})
        assert await asked(path, {"do": "health"}) == {"healthy": True}
        await server.close()
        assert list(path.parent.iterdir()) == []

    run(test)


def test_the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "up.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def test() -> None:
        server = await serve(path, {"who": lambda request: {"n": 1}})
        with pytest.raises(ControlError, match="another up runs on this state directory"):
            await serve(path, {"who": lambda request: {"n": 2}})
        assert await asked(path, {"do": "who"}) == {"n": 1}
        await server.close()

    run(test)


def test_closing_leaves_the_socket_of_a_successor_alone(tmp_path: Path) -> None:
    path = tmp_path / "up.sock"

    async def test() -> None:
        first = await serve(path, {"who": lambda request: {"n": 1}})
        path.unlink()
        second = await serve(path, {"who": lambda request: {"n": 2}})
        await first.close()
        assert await asked(path, {"do": "who"}) == {"n": 2}
        await second.close()

    run(test)


def test_ask_gives_up_in_time_and_closing_does_not_wait_for_a_stuck_handler(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"

    async def stuck(request: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def test() -> None:
        server: ControlServer = await serve(path, {"flush": stuck})
        with pytest.raises(ControlError, match=r"no answer from tracker within 0\.1 s"):
            await asked(path, {"do": "flush"}, 0.1)
        await server.close()

    run(test)


def test_a_missing_state_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="nowhere/run: No such file or directory"):
        ask(tmp_path / "nowhere" / "run" / "up.sock", {"do": "health"}, 1)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "up.sock"

    async def test() -> None:
        server = await serve(path, {"health": lambda request: {}})
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for _ in range(20):
            await asked(path, {"do": "health"})
        await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) <= before + 3  # noqa: PTH208
        await server.close()

    run(test)
