"""Listening sockets: bound by ourselves, or held by somebody who keeps them open while we are renewed.

listening("127.0.0.1:8000", "bidder") -> socket. `outbid up` gives a descriptor; systemd as sd_listen_fds(3) has it:
LISTEN_PID (ours), LISTEN_FDS (how many, from 3 on), LISTEN_FDNAMES (`FileDescriptorName=` of each, by colons).
"""

import os
import socket
from collections.abc import Mapping

from bidder.settings import address

BACKLOG = 4096
FIRST = 3  # SD_LISTEN_FDS_START


class StartError(Exception):
    """A process cannot start; the message says why, in one line."""


def listening(
    text: str, name: str, descriptor: int | None = None, environ: Mapping[str, str] = os.environ
) -> socket.socket:
    """At host:port, or where `descriptor`, or the one that systemd has given this process under `name`, listens.

    StartError names the address that is taken, or what was given instead.
    """
    if descriptor is None:
        descriptor = _given(name, environ)
    listener = _bound(text, name) if descriptor is None else _taken(descriptor, name)
    listener.setblocking(False)
    return listener


def _given(name: str, environ: Mapping[str, str]) -> int | None:
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None  # meant for another process, whose environment we have
    count = int(environ.get("LISTEN_FDS", "0"))
    names = [given for given in environ.get("LISTEN_FDNAMES", "").split(":") if given]
    if name in names[:count]:
        return FIRST + names.index(name)
    if count <= 1:
        return FIRST if count else None
    raise StartError(f"{name}: of the sockets that systemd gave ({', '.join(names)}) none is named {name}")


def _taken(descriptor: int, name: str) -> socket.socket:
    os.set_inheritable(descriptor, False)
    try:
        listener = socket.socket(fileno=descriptor)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(f"{name}: descriptor {descriptor} is no socket: {error.strerror}") from None
    if not listens or listener.type != socket.SOCK_STREAM:
        listener.close()
        raise StartError(f"{name}: descriptor {descriptor} is not a listening stream socket")
    return listener


def _bound(text: str, name: str) -> socket.socket:
    host, port = address(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(f"{name}: cannot listen on {text}: {error.strerror}") from None
    listener.listen(BACKLOG)
    return listener
