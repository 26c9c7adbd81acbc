"""Ports: which are free, and a base with room for everything."""

import random
import socket

from bidder.embedded import ports


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_a_port_becomes_free_when_its_server_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.becomes_free(port, within_s=0.05)
    assert ports.becomes_free(port, within_s=2.0)


def test_a_base_has_all_its_ports_free() -> None:
    base = ports.free_base(random.Random(1))
    assert ports.FIRST <= base < ports.LAST
    assert all(ports.is_free(port) for port in range(base, base + ports.SPAN))
