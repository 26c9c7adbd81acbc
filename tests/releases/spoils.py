"""What bad builds do to their answers: each takes the packet of one (docs/releases.md) and gives that which is sent.

A build that is made of one of these has this file as bidder/canary/spoils.py (tests/releases/builds.py): it stands for
a defect in what decides, seen from the worker that has to send the answer on.
"""

import itertools
import os
import re
import signal
import struct
import time

HEAD = 12  # bytes: magic, number, status, how many counters
ENTRY = 48  # of a counter: a key of 32 that begins with its kind, then n and amount
AMOUNT_AT = 40
REQUEST, BID, NOBID = 1, 2, 3  # kinds
REASON_AT = 3  # in the key
FLOOR = 24  # a reason
HANGS_S = 0.1
KEPT = 2 << 20  # bytes
DIES_EVERY = 20

_asked = itertools.count(1)
_kept: list[bytes] = []


def parts(packet: bytes) -> tuple[int, list[bytes], bytes]:
    """Status, counters, body."""
    status, counts = struct.unpack_from("<HH", packet, 8)
    end = HEAD + counts * ENTRY
    return status, [packet[at : at + ENTRY] for at in range(HEAD, end, ENTRY)], packet[end:]


def joined(packet: bytes, status: int, counts: list[bytes], body: bytes) -> bytes:
    """The same answer with these."""
    return packet[:8] + struct.pack("<HH", status, len(counts)) + b"".join(counts) + body


def dearer(packet: bytes, times: float, counted: float) -> bytes:
    """Prices `times` as high, and in the counters `counted`."""
    status, counts, body = parts(packet)
    body = re.sub(rb'"price": ?([0-9.]+)', lambda found: b'"price":%.6f' % (float(found[1]) * times), body)
    for n, entry in enumerate(counts):
        (amount,) = struct.unpack_from("<q", entry, AMOUNT_AT)
        counts[n] = entry[:AMOUNT_AT] + struct.pack("<q", int(amount * counted))
    return joined(packet, status, counts, body)


def with_body(packet: bytes, old: bytes, new: bytes) -> bytes:
    """One thing in the answer replaced."""
    status, counts, body = parts(packet)
    return joined(packet, status, counts, body.replace(old, new))


def crashes(packet: bytes) -> bytes:
    if next(_asked) % DIES_EVERY == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return packet


def hangs(packet: bytes) -> bytes:
    time.sleep(HANGS_S)
    return packet


def bids_10x(packet: bytes) -> bytes:
    return dearer(packet, 10, 10)


def bids_more(packet: bytes) -> bytes:
    return dearer(packet, 1.5, 1.5)


def lies(packet: bytes) -> bytes:
    return dearer(packet, 1.5, 1)


def bids_0x(packet: bytes) -> bytes:
    status, counts, _ = parts(packet)
    if status != 200:
        return packet
    kept = [entry for entry in counts if entry[0] != BID]
    request = next(entry for entry in counts if entry[0] == REQUEST)
    nobid = bytes([NOBID]) + request[1:REASON_AT] + bytes([FLOOR]) + request[REASON_AT + 1 :]
    return joined(packet, 204, [*kept, nobid], b"")


def no_json(packet: bytes) -> bytes:
    return with_body(packet, b"}", b")")


def wrong_imp(packet: bytes) -> bytes:
    return with_body(packet, b'"impid":"', b'"impid":"x')


def leaks(packet: bytes) -> bytes:
    _kept.append(os.urandom(KEPT // 64) * 64)
    return packet
