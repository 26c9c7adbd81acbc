"""The whole loop on this machine: `python -m bidder.simulator.demo`, or scripts/demo.

fresh state -> outbid up -> campaigns -> play -> reports -> the exchange's books against Postgres -> all down again
Everything but the play goes through the command line, as a person would do it. Exit codes: 0 both books agree to
the nano-USD and there was something to book; 1 otherwise; 130 interrupted. Times: seconds.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from bidder.embedded import ports
from bidder.embedded.postgres import Postgres
from bidder.simulator import agreement
from bidder.simulator.options import Options, PlayError
from bidder.simulator.play import play
from bidder.simulator.printing import Ticker, lines
from bidder.simulator.summary import Summary

STATE = Path(".outbid-demo")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "campaigns.jsonl"
READY_S = 120.0
VERB_S = 120.0
END_S = 60.0
LEAST_BID_SHARE = 0.3
DUPLICATES, FORGED = 0.1, 0.02
TOP = 8  # rows of a list
TAIL = 15  # lines of a log


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Demo:
    """One run on one state directory."""

    def __init__(self, state: Path, options: Options, workers: int | None) -> None:
        self.state = state
        self._options, self._workers = options, workers
        self._begun = time.monotonic()
        self._up: subprocess.Popen[bytes] | None = None
        self._doors: Mapping[str, str] = {}

    def say(self, text: str) -> None:
        """A step, with the time since the start."""
        print(f"[{time.monotonic() - self._begun:5.1f} s] {text}", flush=True)

    def prepare(self) -> None:
        """No trace of an earlier run."""
        stop_earlier(self.state)
        erase(self.state)
        self.state.mkdir(mode=0o700)  # it will hold passwords
        (self.state / "log").mkdir(mode=0o700)

    def start(self) -> None:
        """`outbid up`, on ports that are free."""
        try:
            base = ports.free_base(random.Random())
        except LookupError as error:
            raise DemoError(str(error)) from None
        argv = ["up", "--state", str(self.state), "--port-base", str(base)]
        argv += [] if self._workers is None else ["--workers", str(self._workers)]
        with (self.state / "log" / "up.log").open("ab") as log:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "bidder", *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we end it when we have looked at its books
            )
        self._doors = json.loads(self._ready_line(self._up))

    def _ready_line(self, up: subprocess.Popen[bytes]) -> bytes:
        assert up.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(up.stdout, selectors.EVENT_READ)
            if not selector.select(READY_S):
                raise DemoError(f"`outbid up` is not ready after {READY_S:g} s")
        line = up.stdout.readline()
        if not line:
            raise DemoError(f"`outbid up` ended with code {up.wait()} before it was ready")
        return line

    def verb(self, *argv: str) -> str:
        """What one command prints; DemoError where it fails."""
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bidder", *argv, "--state", str(self.state)],
                capture_output=True,
                text=True,
                timeout=VERB_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DemoError(f"`outbid {' '.join(argv)}` did not end within {VERB_S:g} s") from None
        if done.returncode != 0:
            raise DemoError(f"`outbid {' '.join(argv)}` ended with code {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def report(self, *argv: str) -> list[dict[str, Any]]:
        """Rows of a report."""
        rows: list[dict[str, Any]] = json.loads(self.verb("report", *argv, "--format", "json"))
        return rows

    def play(self) -> Summary:
        """The traffic."""
        with Ticker(sys.stderr) as ticker:
            return play(dataclasses.replace(self._options, url=self._doors["bid"]), ticker.show)

    def judge(self, summary: Summary) -> bool:
        """Print what happened; True if the books agree and are worth agreeing on."""
        document = summary.document()
        totals = agreement.totals(document, self.report("delivery", "--by", "total", "--flush"))
        spend = self.report("spend", "--by", "campaign")
        apart = [line for line in agreement.campaigns(document, spend) if not line.agrees]
        nobids = self.report("nobids")
        print("\nThe exchange says\n  " + "\n  ".join(lines(summary)))
        print("\nTop campaigns")
        for row in spend[:TOP]:
            print(f"  {row['campaign']}  {row['wins']:>8,} wins  {row['clicks']:>5,} clicks  ${row['spend_usd']}")
        print("\nRequests without a bid, by reason")
        print("  " + ", ".join(f"{row['reason']} {row['nobids']:,}" for row in nobids[:TOP]))
        print("\nBooks\n  " + "\n  ".join(agreement.table([*totals, *apart[:TOP]])) + "\n")
        share = summary.real.status[200] / (summary.real.requests or 1)
        wrong = {
            "the books differ": any(not line.agrees for line in (*totals, *apart)),
            f"bids on {share:.1%} of requests, {LEAST_BID_SHARE:.0%} are expected": share < LEAST_BID_SHARE,
            "requests without an answer, broken rules or untold notices: see above": not summary.clean,
            f"{summary.closed_connections} connections were closed": summary.closed_connections > 0,
            "no wins": not summary.real.total().wins,
        }
        for text in (text for text, is_so in wrong.items() if is_so):
            print(f"demo: {text}", file=sys.stderr)
        if not any(wrong.values()):
            print(f"Bids on {share:.1%} of requests; exchange and Postgres agree to the nano-USD.")
        return not any(wrong.values())

    def show_logs(self) -> None:
        """The end of each, for whoever has to find out."""
        for log in sorted((self.state / "log").glob("*.log")):
            last = log.read_text(errors="replace").splitlines()[-TAIL:]
            if last:
                print(f"--- {log}\n" + "\n".join(last), file=sys.stderr)

    def keep(self) -> None:
        """Leave it running, and say how to look at it and how to end it."""
        assert self._up is not None
        state, outbid = self.state, "outbid" if shutil.which("outbid") else f"{sys.executable} -m bidder"
        print(f"\nStill running. Look at it: {self._doors['monitor']}")
        for verb in ("status", "report spend --by campaign", "report nobids", "campaign list", "exchange play", "sql"):
            print(f"  {outbid} {verb} --state {state}")
        print(f"End it:\n  kill -INT {self._up.pid}")

    def stop(self) -> None:
        """Down, as Ctrl-C would do it."""
        if self._up is None or self._up.poll() is not None:
            return
        self._up.send_signal(signal.SIGINT)
        try:
            code = self._up.wait(END_S)
        except subprocess.TimeoutExpired:
            self._up.kill()  # its children die with it
            self._up.wait()
            raise DemoError(f"`outbid up` did not end within {END_S:g} s of SIGINT; killed") from None
        if code != 0:
            raise DemoError(f"`outbid up` ended with code {code}")


def stop_earlier(state: Path) -> None:
    """End the `outbid up` that an earlier `--keep` left on this state directory."""
    try:
        lock = (state / "lock").open("rb")
    except FileNotFoundError:
        return
    with lock:
        if _lockable(lock.fileno()):
            return
        pid = lock.read().decode(errors="replace").strip()
        if not pid.isdigit():
            raise DemoError(f"{state / 'lock'} is held by a process that has not said who it is")
        print(f"ending the demo that still runs (pid {pid})", flush=True)
        os.kill(int(pid), signal.SIGINT)
        deadline = time.monotonic() + END_S
        while not _lockable(lock.fileno()):
            if time.monotonic() >= deadline:
                raise DemoError(f"an earlier demo (pid {pid}) holds {state} and does not end")
            time.sleep(0.05)


def _lockable(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def erase(state: Path) -> None:
    """Remove a state directory, and the data that Postgres keeps elsewhere for it."""
    if not state.exists():
        return
    if any(state.iterdir()) and not (state / "host").exists() and not (state / "log").exists():
        raise DemoError(f"{state} is no state directory of outbid; remove it yourself")
    Postgres(state, port=0).erase()
    shutil.rmtree(state)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def perform(demo: Demo, keep: bool) -> int:
    """All of it; returns the exit code."""
    good = kept = False
    try:
        demo.prepare()
        demo.say("starting Postgres, memcached, controller, tracker, bidder, aggregator, monitor")
        demo.start()
        demo.say("importing campaigns")
        demo.say(demo.verb("campaign", "import", str(EXAMPLES), "--wait"))
        demo.say("playing")
        summary = demo.play()
        demo.say("comparing books")
        good = demo.judge(summary)
        if keep:
            demo.keep()
            kept = True
        else:
            demo.say("stopping")
            demo.stop()
    except (DemoError, PlayError) as error:
        good = False
        print(f"demo: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        demo.stop()
        erase(demo.state)
        raise
    finally:
        if not kept:
            demo.stop()
    if not good:
        demo.show_logs()
    elif not kept:
        erase(demo.state)
    demo.say("done" if good else f"failed; see above and {demo.state / 'log'}")
    return 0 if good else 1


def main(argv: Sequence[str]) -> int:
    """Arguments, then the demo."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="The whole loop on this machine, in one run.")
    parser.add_argument("--seconds", type=float, default=30, metavar="S", help="of traffic (default: 30)")
    parser.add_argument("--rate", type=float, default=500, metavar="N", help="requests a second (default: 500)")
    parser.add_argument("--workers", type=int, metavar="N", help="bid workers (default: one a core, less one)")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    args = parser.parse_args(argv)
    try:
        with _ended_by_sigterm():
            options = Options(rate=args.rate, seconds=args.seconds, duplicates=DUPLICATES, forged=FORGED)
            return perform(Demo(STATE.absolute(), options, args.workers), args.keep)
    except PlayError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
