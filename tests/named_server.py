"""A bid server that says who it is: `python -m tests.named_server PORT NAME`. Ready at /readyz; a POST gets its name.

A process of its own, so that it can be killed, that reads HTTP/1.1 as balancers send it and keeps connections.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from tests.free_ports import free_port

HEAD_END = b"\r\n\r\n"


async def serve(name: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name)
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while True:
            head = (await reader.readuntil(HEAD_END)).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            writer.write(answer)
    writer.close()


async def listen(port: int, name: str) -> None:
    """Until it is killed."""
    server = await asyncio.start_server(
        lambda reader, writer: serve(name.encode(), reader, writer), "127.0.0.1", port, backlog=1024
    )
    os.write(1, b"\n")
    await server.serve_forever()


@contextlib.contextmanager
def named(*names: str) -> Iterator[dict[str, "tuple[int, subprocess.Popen[bytes]]"]]:
    """Such servers: name -> port and process; killed at the end."""
    ports = {name: free_port() for name in names}
    command = [sys.executable, "-m", "tests.named_server"]
    processes = {
        name: subprocess.Popen([*command, str(port), name], stdout=subprocess.PIPE) for name, port in ports.items()
    }
    try:
        for process in processes.values():
            assert process.stdout is not None
            assert process.stdout.readline(), "a named server did not start"
        yield {name: (ports[name], processes[name]) for name in names}
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


if __name__ == "__main__":
    asyncio.run(listen(int(sys.argv[1]), sys.argv[2]))
