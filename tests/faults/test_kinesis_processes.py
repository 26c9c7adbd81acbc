"""Two hosts on one Kinesis stream, from notices over HTTP to Postgres: whoever is killed, all is booked, and once."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aggregator.migrate import migrate
from bidder.cli.report import _money_goals
from bidder.money.tokens import Keys, Token, TokenClass, create_keys, seal
from bidder.ops.control import ControlError, ask
from bidder.settings import load
from reporting.reading import Reader
from tests.aws_server import Aws
from tests.conditions import wait_until
from tests.faults.senders import Sender
from tests.faults.test_aggregator_kill import PROGRAM as AGGREGATOR
from tests.free_ports import free_port
from tests.ledgers import run

pytestmark = pytest.mark.faults

TRACKER = """
import sys
from pathlib import Path
from bidder.settings import load
from bidder.tracking.server import run
run(Path(sys.argv[1]), load(None))
"""
MINUTE = int(time.time() // 60)  # tokens of long ago would book nothing


class Process:
    """One role of one host, started again as often as a test likes."""

    def __init__(self, program: str, arguments: Sequence[str], environ: dict[str, str], log: Path) -> None:
        self._command = [sys.executable, "-c", program, *arguments]
        self._environ = os.environ | environ
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environ, stderr=log)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(20)
        self._process = None
        return code


class Host:
    """A tracker and an aggregator with a state directory of their own."""

    def __init__(self, state: Path, aws: Aws, stream: str, dsn: str, keys: Path) -> None:
        (state / "keys").mkdir(parents=True)
        (state / "keys" / "token.keys").write_bytes(keys.read_bytes())
        self.state, self.port = state, free_port()
        environ = aws.environ | {
            "OUTBID_STREAM_KINESIS_STREAM": stream,
            "OUTBID_TRACKER_LISTEN": f"127.0.0.1:{self.port}",
            "OUTBID_BIDDER_BUS_LISTEN": f"127.0.0.1:{free_port()}",
        }
        self.settings = load(None, environ)
        self.tracker = Process(TRACKER, [str(state)], environ, state / "tracker.log")
        self.aggregator = Process(AGGREGATOR, [str(state), dsn], environ, state / "aggregator.log")

    def health(self, role: str) -> dict[str, Any]:
        with contextlib.suppress(ControlError):
            return ask(self.state / "run" / f"{role}.sock", {"do": "health"}, 5)
        return {"healthy": False, "money": {"standby": False, "problem": "away", "position": None}}

    def books(self) -> bool:
        """Is its aggregator the one that books?"""
        money = self.health("aggregator")["money"]
        return money["position"] is not None and money["problem"] is None and not money["standby"]


class Exchange(Sender):
    """Tells each of its bills until it is answered, to one host after the other."""

    def __init__(self, keys: Keys, first: int, hosts: Sequence[Host]) -> None:
        self.repeats = 0
        self._first = first
        self._hosts = hosts
        super().__init__(keys)

    def _run(self) -> None:
        n = self._first
        while not self._stop.is_set():
            bid_id = MINUTE.to_bytes(4, "big") + n.to_bytes(8, "big")
            token = Token(bid_id, exchange=1, campaign=1, creative=1, bid_price=2_000_000)
            path = f"/bill/{seal(self._sealer, TokenClass.NOTICE, token)}?price=1.5"
            while not self._tell(path, self._hosts[(n + self.repeats) % len(self._hosts)]):
                self.repeats += 1
                time.sleep(0.02)
                if self._stop.is_set():
                    return
            self.acknowledged.append(n)
            n += 1

    def _tell(self, path: str, host: Host) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=8)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 204
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@pytest.fixture
def hosts(tmp_path: Path, aws: Aws, database: str) -> Iterator[list[Host]]:
    migrate(database)
    run(database, "INSERT INTO config.exchange VALUES (1, 'generic', 'billing') ON CONFLICT DO NOTHING")
    create_keys(tmp_path / "token.keys")
    stream = f"processes-{database.rpartition('/')[2]}"
    aws.create(stream, 2)
    made = [Host(tmp_path / name, aws, stream, database, tmp_path / "token.keys") for name in ("a", "b")]
    yield made
    for host in made:
        host.tracker.end()
        host.aggregator.end()


def test_everything_acknowledged_is_booked_once_whoever_is_killed(
    hosts: list[Host], tmp_path: Path, aws: Aws, database: str
) -> None:
    keys = create_keys(tmp_path / "token.keys")
    for host in hosts:
        host.tracker.start()
        host.aggregator.start()
    for host in hosts:
        wait_until(lambda host=host: host.health("tracker")["healthy"], 30, "a healthy tracker")
    senders = [Exchange(keys, (n + 1) << 32, hosts) for n in range(4)]

    def acknowledged() -> int:
        return sum(len(sender.acknowledged) for sender in senders)

    def some_more(count: int = 40) -> None:
        goal = acknowledged() + count
        wait_until(lambda: acknowledged() >= goal, 60, "notices to be acknowledged")

    for faults in (("lost", "reset", "partial"), ("throttle", "500", "lost")):
        some_more()
        aws.faults("PutRecords", *faults)
        aws.faults("GetRecords", "expired", "reset", "throttle")
        for host in hosts:
            host.tracker.end()
            some_more(20)  # by the other host
            host.tracker.start()
            wait_until(lambda host=host: host.health("tracker")["healthy"], 30, "the tracker again")
        booker = wait_until(
            lambda: next((host for host in hosts if host.books()), None), 30, "an aggregator that books"
        )
        booker.aggregator.end()
        other = hosts[1 - hosts.index(booker)]
        wait_until(other.books, 30, "the other aggregator to take over")
        booker.aggregator.start()
    some_more()
    for sender in senders:
        sender.end()
    goals = _money_goals(hosts[0].state, hosts[0].settings, time.monotonic() + 30)
    assert len(goals) == 2
    with Reader(database) as reader:
        assert reader.wait_for(goals, 30) == []
    sure = {n for sender in senders for n in sender.acknowledged}
    booked = run(database, "SELECT bid_id, kinds, spent_nano FROM ledger.bid")
    numbers = [int.from_bytes(bytes(bid_id)[4:], "big") for bid_id, _, _ in booked]
    assert sure <= set(numbers)
    assert len(numbers) <= len(sure) + len(senders)  # the one that each was about to tell
    assert {(kinds, spent) for _, kinds, spent in booked} == {(2, 1_500_000)}
    [(bills, spend)] = run(database, "SELECT sum(bills)::int, sum(spend_nano)::bigint FROM rollup.notice_minute")
    assert (bills, spend) == (len(numbers), 1_500_000 * len(numbers))
    [(read,)] = run(database, "SELECT notices FROM ops.stream")
    assert read > bills, "no repeat was in the stream: the faults did not bite"
    assert sum(sender.repeats for sender in senders) > 0
    for host in hosts:
        assert host.tracker.end(signal.SIGTERM) == 0
        assert host.aggregator.end(signal.SIGTERM) == 0


def test_an_outage_of_kinesis_stops_bidding_refuses_in_time_and_ends_by_itself(
    hosts: list[Host], tmp_path: Path, aws: Aws
) -> None:
    host, keys = hosts[0], create_keys(tmp_path / "token.keys")
    host.tracker.start()
    wait_until(lambda: host.health("tracker")["healthy"], 30, "a healthy tracker")
    aws.faults("PutRecords", "down")
    sender = Exchange(keys, 1 << 40, [host])
    wait_until(lambda: not host.health("tracker")["healthy"], 30, "the tracker to say so")
    wait_until(lambda: sender.repeats, 30, "an answer that it was not taken")
    assert sender.acknowledged == []
    said = (host.state / "tracker.log").read_text()
    assert "not ready" in said
    assert "ServiceUnavailable" in said
    aws.heal()
    wait_until(lambda: host.health("tracker")["healthy"], 30, "the tracker to be well again")
    wait_until(lambda: len(sender.acknowledged) > 5, 30, "notices to be taken again")
    sender.end()
