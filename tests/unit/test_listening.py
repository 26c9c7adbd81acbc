"""Listening sockets: our own, of whoever holds them for us, of systemd."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bidder.ops.listening import StartError, listening

ASKS = """
import os, sys
from bidder.ops.listening import StartError, listening
os.dup2(int(sys.argv[1]), 3)
environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": sys.argv[2], "LISTEN_FDNAMES": sys.argv[3]}
try:
    taken = listening("127.0.0.1:1", "bidder", environ=environ)
    print(taken.getsockname()[1], taken.get_inheritable())
except StartError as error:
    print(error)
"""


@pytest.fixture
def held() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def said(held: socket.socket, count: str, names: str) -> str:
    """By a process that systemd would have given this socket as its third descriptor."""
    argv = [sys.executable, "-c", ASKS, str(held.fileno()), count, names]
    return subprocess.run(argv, pass_fds=(held.fileno(),), capture_output=True, text=True, check=True).stdout.strip()


def test_an_address_that_is_taken_is_named(held: socket.socket) -> None:
    where = f"127.0.0.1:{held.getsockname()[1]}"
    with pytest.raises(StartError, match=f"tracker: cannot listen on {where}: Address already in use"):
        listening(where, "tracker")


def test_a_descriptor_that_listens_is_taken_and_kept_from_children(held: socket.socket) -> None:
    given = os.dup(held.fileno())
    os.set_inheritable(given, True)
    with listening("127.0.0.1:1", "tracker", given) as taken:
        assert taken.getsockname() == held.getsockname()
        assert not taken.get_inheritable()


def test_a_descriptor_that_does_not_listen_is_refused() -> None:
    with socket.socket() as idle, pytest.raises(StartError, match="is not a listening stream socket"):
        listening("127.0.0.1:1", "tracker", os.dup(idle.fileno()))


@pytest.mark.parametrize("names", ["bidder", "", "bidder:tracker"])
def test_a_socket_of_systemd_is_taken_by_its_name_or_where_it_is_the_only_one(held: socket.socket, names: str) -> None:
    count = str(max(1, len(names.split(":"))))
    assert said(held, count, names) == f"{held.getsockname()[1]} False"


def test_of_several_sockets_of_systemd_none_is_taken_for_another(held: socket.socket) -> None:
    assert said(held, "2", "a:b") == "bidder: of the sockets that systemd gave (a, b) none is named bidder"


def test_sockets_that_were_given_to_another_process_are_not_ours() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    with listening("127.0.0.1:0", "bidder", environ=environ) as own:
        assert own.getsockname()[1] > 0
