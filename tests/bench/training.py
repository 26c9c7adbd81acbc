"""What a trained build is trained with: `python -m tests.bench.training`, run by `scripts/build --trained`.

A worker's compiled parts in this process, without a loop: requests go into one end of socket pairs, the reactor
turns, answers are read. The requests are those of the benches, of which some have a floor that nobody pays;
campaigns have the targeting mix of `examples/`. It takes some seconds, always does the same, and leaves what the
compiler counts when the process ends.
"""

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
ANSWER_BYTES = 65_536


class Loop:
    """As much of one as a reactor asks for: whoever trains it turns it himself."""

    def add_reader(self, descriptor: int, turn: Any) -> None:
        """It will be turned anyway."""

    def remove_reader(self, descriptor: int) -> None:
        """At the end."""

    def call_soon(self, done: Any) -> None:
        """What is to come to an end does so with the process."""


def train() -> int:
    """Every request once; how many got a bid."""
    bodies = servers.bodies(REQUESTS)
    bodies[::NO_BID_EVERY] = [body.replace(b'"bidfloor":', b'"bidfloor":9') for body in bodies[::NO_BID_EVERY]]
    with tempfile.TemporaryDirectory(prefix="outbid-training-") as place:
        prepare(Path(place), CAMPAIGNS)
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
