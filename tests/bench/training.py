"""What a trained build is trained with: `python -m tests.bench.training`, run by `scripts/build --trained`.

A worker's compiled parts in this process, without a loop: requests go into one end of socket pairs, the reactor
turns, answers are read. The requests are those of the benches, of which some have a floor that nobody pays and some
want another format than a banner; campaigns have the targeting mix of `examples/`, and those of every format are beside
them. It takes some seconds, always does the same, and leaves what the compiler counts when the process ends.
"""

import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from bidder._fast.http import Connections
from bidder._fast.reactor import Reactor
from tests.bench import openloop, servers
from tests.bench.stages import prepare, worker

CAMPAIGNS = 10_000
REQUESTS = 60_000
CONNECTIONS = 32
NO_BID_EVERY = 4
OTHER_EVERY = 10
ANSWER_BYTES = 65_536
FORMATS = servers.CHECKOUT / "examples" / "formats.jsonl"
NATIVE = {
    "ver": "1.2", "context": 1, "plcmttype": 1, "eventtrackers": [{"event": 1, "methods": [1]}],
    "assets": [
        {"id": 1, "required": 1, "title": {"len": 90}},
        {"id": 2, "required": 1, "img": {"type": 3, "wmin": 300, "hmin": 157}},
        {"id": 3, "data": {"type": 1, "len": 25}},
        {"id": 4, "data": {"type": 2, "len": 140}},
    ],
}  # fmt: skip
VIDEO = {
    "mimes": ["video/mp4", "application/javascript"], "minduration": 5, "maxduration": 30, "protocols": [2, 3, 5, 6],
    "w": 640, "h": 360, "linearity": 1, "placement": 1, "plcmt": 1, "startdelay": 0, "skip": 1, "playbackmethod": [2],
    "api": [1, 2, 7], "battr": [3], "delivery": [2],
}  # fmt: skip
AUDIO = {
    "mimes": ["audio/mpeg", "audio/mp4"], "minduration": 5, "maxduration": 60, "protocols": [9, 10], "startdelay": 0,
    "api": [7],
}  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"video": VIDEO},
    {"native": {"request": json.dumps(NATIVE), "ver": "1.2", "api": [3], "battr": [1]}},
    {"audio": AUDIO},
]


class Loop:
    """As much of one as a reactor asks for: whoever trains it turns it himself."""

    def add_reader(self, descriptor: int, turn: Any) -> None:
        """It will be turned anyway."""

    def remove_reader(self, descriptor: int) -> None:
        """At the end."""

    def call_soon(self, done: Any) -> None:
        """What is to come to an end does so with the process."""


def other(body: bytes, number: int) -> bytes:
    """The same request, for another format."""
    request = json.loads(body)
    for imp in request["imp"]:
        del imp["banner"]
        imp |= OTHERS[number % len(OTHERS)]
    return json.dumps(request, separators=(",", ":")).encode()


def train() -> int:
    """Every request once; how many got a bid."""
    bodies = servers.bodies(REQUESTS)
    bodies[::OTHER_EVERY] = [other(body, number) for number, body in enumerate(bodies[::OTHER_EVERY])]
    bodies[1::NO_BID_EVERY] = [body.replace(b'"bidfloor":', b'"bidfloor":9') for body in bodies[1::NO_BID_EVERY]]
    formats = [json.loads(line) for line in FORMATS.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory(prefix="outbid-training-") as place:
        prepare(Path(place), CAMPAIGNS, formats)
        connections = Connections(worker(Path(place)), lambda *_: None)
        reactor = Reactor(Loop(), connections)
        peers = []
        for _ in range(CONNECTIONS):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            reactor.open(ours, connections.protocol())
            peers.append(theirs)
        bids = 0
        for first in range(0, len(bodies), CONNECTIONS):
            batch = list(zip(peers, bodies[first : first + CONNECTIONS], strict=False))
            for peer, body in batch:
                peer.sendall(openloop.request("127.0.0.1", body))
            reactor.turn()
            bids += sum(peer.recv(ANSWER_BYTES).startswith(b"HTTP/1.1 200") for peer, _ in batch)
        for peer in peers:
            peer.close()
    return bids


def main() -> int:
    """0 where most requests got a bid, as they are to."""
    bids = train()
    print(f"training: {bids:,} of {REQUESTS:,} requests got a bid", file=sys.stderr)
    return 0 if bids > REQUESTS // 2 else 1


if __name__ == "__main__":
    sys.exit(main())
