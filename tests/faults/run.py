"""Real processes under faults: `scripts/faults`. A whole host, an exchange that plays to it, kill -9 again and again.

outbid up -> campaigns -> capacity -> play at a share of it, while every role is killed in turn -> both books compared
Everything is on this machine, in a directory of its own, and ends by itself. What the exchange paid and what the ledger
says agree to the nano-USD, or the exit code is 1. Requests whose connection broke may or may not have been counted.
Times: seconds.
"""

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bidder.simulator import agreement
from bidder.simulator.options import Options
from bidder.simulator.play import bodies_of, play
from bidder.simulator.summary import Summary
from tests.conditions import wait_until
from tests.hosts import EXAMPLES, Host, alive, running

ROLES = ("worker", "supervisor", "tracker", "aggregator", "postgres", "controller", "memcached")
HANG = "tracker hangs"
HANG_S = 5.0
FIRST_RATE = 200.0  # requests a second
LATE_MS = 100.0
BIDS_A_REQUEST = 2  # at most, of the traffic that is played
BACK_S = 30.0
IN_DOUBT = ("requests", "bids")


@dataclasses.dataclass(frozen=True)
class Blow:
    """What one fault did. `bid_s`: until the next bid; `back_s`: until the role has a healthy process again."""

    fault: str
    at_s: float
    bid_s: float
    back_s: float


class Probe:
    """Asks for a bid, as a test that nothing is booked of, on a new connection each time."""

    def __init__(self, host: Host, body: bytes) -> None:
        request = json.loads(body)
        request["test"] = 1
        self._host, self._body = host, json.dumps(request).encode()

    def bids(self) -> bool:
        connection = self._host.connect()
        connection.timeout = 1.0
        try:
            connection.request("POST", "/bid/generic", self._body, {"Content-Type": "application/json"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def find_probe(host: Host, bodies: Sequence[bytes]) -> Probe:
    """A request that is bid on."""
    for body in bodies[:500]:
        probe = Probe(host, body)
        if probe.bids():
            return probe
    raise AssertionError("none of 500 requests gets a bid")


def healthy(host: Host, role: str) -> list[int]:
    """Processes of a role that do their job, as `outbid status` sees them."""
    return [row["pid"] for row in host.processes() if row["role"] == role and row["healthy"]]


def strike(host: Host, fault: str, probe: Probe, begun: float) -> Blow:
    """One fault, and how long it is felt. AssertionError where it does not come back."""
    role = "tracker" if fault == HANG else fault
    before = healthy(host, role)
    victim = before[0]
    at = time.monotonic()
    os.kill(victim, signal.SIGSTOP if fault == HANG else signal.SIGKILL)
    if fault != HANG:
        wait_until(lambda: not alive(victim), 5.0, f"the death of {role}")
    wait_until(probe.bids, BACK_S, f"a bid after {fault}")
    bid_s = time.monotonic() - at
    if fault == HANG:
        time.sleep(max(0.0, HANG_S - bid_s))
        os.kill(victim, signal.SIGCONT)

    def back() -> bool:
        now = healthy(host, role)
        return len(now) == len(before) and (fault == HANG or victim not in now)

    wait_until(back, BACK_S, f"another {role}")
    return Blow(fault, round(at - begun, 1), round(bid_s, 3), round(time.monotonic() - at, 3))


@contextlib.contextmanager
def playing(options: Options) -> Iterator[list[Summary]]:
    """The exchange, on a thread; its summary is in the list when the block has ended."""
    summaries: list[Summary] = []
    thread = threading.Thread(target=lambda: summaries.append(play(options)))
    thread.start()
    try:
        yield summaries
    finally:
        thread.join()


def capacity(options: Options) -> float:
    """Requests a second that are answered in time: the rate grows by half until more than one in a hundred is late."""
    rate = FIRST_RATE
    while True:
        summary = play(dataclasses.replace(options, rate=rate, seconds=2.0, deadline_ms=LATE_MS))
        if summary.late + sum(summary.errors.values()) > summary.sent / 100:
            return rate / 1.25
        rate *= 1.5


def compare(host: Host, summary: Summary, before: dict[str, int]) -> list[agreement.Line]:
    """Figures that do not agree; `before` is what was reported when the play began."""
    document = summary.document()
    rows = host.report("delivery", "--by", "total")
    delivery = [{name: n - before.get(name, 0) for name, n in rows[0].items() if isinstance(n, int)}]
    doubtful = sum(summary.errors.values())
    apart = []
    for line in agreement.totals(document, delivery):
        room = {"requests": doubtful, "bids": BIDS_A_REQUEST * doubtful}.get(line.figure, 0)
        if not line.exchange <= line.postgres <= line.exchange + room:
            apart.append(line)
    return apart


def by_campaign(host: Host, earlier: list[dict[str, Any]], summary: Summary) -> list[agreement.Line]:
    """Money of each campaign that does not agree."""
    was = {str(row["campaign"]): row for row in earlier}
    now = [
        {
            name: n - was.get(str(row["campaign"]), {}).get(name, 0) if isinstance(n, int) else n
            for name, n in row.items()
        }
        for row in host.report("spend", "--by", "campaign")
    ]
    lines = agreement.campaigns(summary.document(), now)
    return [line for line in lines if not line.agrees and line.figure not in IN_DOUBT]


def suffer(host: Host, options: Options, times: int, every_s: float, share: float) -> dict[str, Any]:
    """All of it; what happened, for people and programs."""
    host.verb("campaign", "import", str(EXAMPLES), "--wait")
    options = dataclasses.replace(options, url=f"http://127.0.0.1:{host.base}")
    probe = find_probe(host, bodies_of(dataclasses.replace(options, requests=500, seconds=None)))
    most = capacity(options) if options.rate <= 0.01 else options.rate / share
    faults = [fault for _ in range(times) for fault in (*ROLES, HANG)]
    options = dataclasses.replace(options, rate=most * share, seconds=every_s * (len(faults) + 1))
    before = {name: n for name, n in host.report("delivery", "--by", "total")[0].items() if isinstance(n, int)}
    spend = host.report("spend", "--by", "campaign")
    blows: list[Blow] = []
    begun = time.monotonic()
    with playing(options) as summaries:
        for n, fault in enumerate(faults, 1):
            time.sleep(max(0.0, begun + n * every_s - time.monotonic()))
            blows.append(strike(host, fault, probe, begun))
            print(f"{blows[-1].at_s:7.1f} s  {fault}: bids after {blows[-1].bid_s:.2f} s", file=sys.stderr, flush=True)
    summary = summaries[0]
    apart = compare(host, summary, before) + by_campaign(host, spend, summary)
    total = summary.real.total()
    return {
        "capacity": round(most),
        "rate": round(options.rate),
        "blows": [dataclasses.asdict(blow) for blow in blows],
        "requests": summary.real.requests,
        "unanswered": sum(summary.errors.values()),
        "notices": summary.notices.sent,
        "repeated": summary.notices.repeated,
        "untold": summary.notices.untold,
        "wins": total.wins,
        "spend_nano_usd": total.spend_nano_usd,
        "differences": [str(line) for line in apart],
        "held": not apart and not summary.notices.untold and total.wins > 0,
    }


def table(found: dict[str, Any]) -> list[str]:
    """For people: by fault, the worst of its times."""
    lines = [f"{'fault':16} {'times':>5} {'next bid':>10} {'role back':>10}   (worst, s)"]
    for fault in (*ROLES, HANG):
        blows = [blow for blow in found["blows"] if blow["fault"] == fault]
        bid_s, back_s = (max(blow[name] for blow in blows) for name in ("bid_s", "back_s"))
        lines.append(f"{fault:16} {len(blows):5} {bid_s:10.2f} {back_s:10.2f}")
    lines.append(
        f"{found['rate']:,} requests/s of {found['capacity']:,} that fit; {found['requests']:,} answered,"
        f" {found['unanswered']:,} lost their connection; {found['notices']:,} notices, {found['repeated']:,} again,"
        f" {found['untold']:,} untold; {found['wins']:,} wins"
    )
    return lines


def main(argv: Sequence[str]) -> int:
    """Arguments, then all of it."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=3, metavar="N", help="each role is killed (default: 3)")
    parser.add_argument("--every", type=float, default=10.0, metavar="S", help="between two faults (default: 10)")
    parser.add_argument("--rate", type=float, metavar="N", help="requests a second (default: a share of what fits)")
    parser.add_argument("--share", type=float, default=0.7, help="of the capacity that is measured (default: 0.7)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="(default: 2)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the traffic")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # the host is ended and erased then, too
    options = Options(rate=args.rate or 0.01, seed=args.seed, duplicates=0.1, forged=0.02, lint_per_s=0)
    with (
        tempfile.TemporaryDirectory(prefix="outbid-faults-") as place,
        running(Path(place) / "state", args.workers) as host,
    ):
        found = suffer(host, options, args.times, args.every, args.share)
    print(json.dumps(found) if args.json else "\n".join(table(found)))
    if not found["held"]:
        print("faults: the books differ: " + "; ".join(found["differences"] or ["notices are untold"]), file=sys.stderr)
        return 1
    if not args.json:
        print("The exchange's money and the ledger agree to the nano-USD.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
