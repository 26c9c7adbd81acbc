"""Metrics: a parser that is not ours reads what we write; counters are of what was counted; StatsD hears the same."""

import asyncio
import math
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from bidder.events.schema import Kind, LintResult, NoticeKind
from bidder.ops.metrics import COUNTER, GAUGE, MOST, OTHER, Family, Histogram, render
from bidder.ops.statsd import DATAGRAM, Statsd
from bidder.outcome import Reason
from tests.conditions import wait_until
from tests.watched import Watched


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in parsed(text.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def busy_host() -> Watched:
    host = Watched()
    host.count(Kind.REQUEST, 100)
    host.count(Kind.BID, 30, amount=30 * 1_500_000)
    host.count(Kind.NOBID, 70, reason=Reason.FLOOR)
    host.count(Kind.LATENCY, 90, reason=6, amount=90 * 40_000)
    host.count(Kind.LATENCY, 10, reason=30, amount=10 * 3_000_000_000)
    host.count(Kind.NOTICE, 5, reason=NoticeKind.BILL, amount=5 * 1_000_000)
    host.count(Kind.NOTICE, 5, reason=NoticeKind.BILL, amount=0, exchange=2)
    host.count(Kind.LINT, 2, reason=LintResult.VALID)
    host.count(Kind.REQUEST, 8, arm=1)
    host.count(Kind.REQUEST, 4, arm=200)
    return host


def test_every_family_of_a_host_is_read_by_a_parser_of_prometheus() -> None:
    families = busy_host().families()
    text = render(families)
    read = {family.name: family for family in parsed(text.decode())}
    for family in families:
        name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
        assert read[name].type == family.kind
        assert read[name].documentation == family.text
    assert len({family.name for family in families}) == len(families)


def test_windows_become_counters_by_exchange_arm_and_reason() -> None:
    found = samples(render(busy_host().families()))
    stable = (("arm", "stable"), ("exchange", "openx"))
    assert found["outbid_requests_total", stable] == 100
    assert found["outbid_bids_total", stable] == 30
    assert found["outbid_offered_usd_total", stable] == pytest.approx(0.045)
    assert found["outbid_nobids_total", (*stable, ("reason", "floor"))] == 70
    assert found["outbid_requests_total", (("arm", "canary"), ("exchange", "openx"))] == 8
    assert found["outbid_bids_total", (("arm", "canary"), ("exchange", "openx"))] == 0  # none is a number, too
    assert found["outbid_requests_total", (("arm", "experiment"), ("exchange", "openx"))] == 4
    assert found["outbid_spend_usd_total", stable] == pytest.approx(0.005)
    assert found["outbid_spend_usd_total", (("arm", "stable"), ("exchange", "xandr"))] == 0
    assert found["outbid_notices_total", (*stable, ("kind", "bill"))] == 5
    assert found["outbid_linted_total", (("arm", "stable"), ("result", "valid"))] == 2


def test_latency_is_a_histogram_in_seconds() -> None:
    found = samples(render(busy_host().families()))
    arm = ("arm", "stable")
    assert found["outbid_decision_seconds_bucket", (arm, ("le", "3.2e-05"))] == 0
    assert found["outbid_decision_seconds_bucket", (arm, ("le", "6.4e-05"))] == 90
    assert found["outbid_decision_seconds_bucket", (arm, ("le", "2.097152"))] == 90
    assert found["outbid_decision_seconds_bucket", (arm, ("le", "+Inf"))] == 100
    assert found["outbid_decision_seconds_count", (arm,)] == 100
    assert found["outbid_decision_seconds_sum", (arm,)] == pytest.approx(90 * 40e-6 + 10 * 3)


def test_what_labels_and_texts_hold_is_escaped() -> None:
    odd = 'a\\b"c\nd'
    family = Family("outbid_odd", GAUGE, "one\\two\nthree", ("what",))
    family.set(1.5, odd)
    [read] = parsed(render([family]).decode())
    assert read.documentation == "one\\two\nthree"
    assert [(sample.labels, sample.value) for sample in read.samples] == [({"what": odd}, 1.5)]


@pytest.mark.parametrize("value", [0, -1, 2**53, 1e300, 0.1, math.inf, -math.inf, 123456789.125])
def test_numbers_come_back_as_they_were(value: float) -> None:
    family = Family("outbid_n", GAUGE, "n")
    family.set(value)
    assert list(samples(render([family])).values()) == [value]


def test_a_family_holds_a_bounded_number_of_series() -> None:
    family = Family("outbid_n_total", COUNTER, "n", ("key",))
    for n in range(MOST + 50):
        family.add(1, str(n))
    assert len(family.values) == MOST + 1
    assert family.values[(OTHER,)] == 50
    with pytest.raises(ValueError, match="has the labels"):
        family.add(1, "a", "b")


def test_statsd_hears_what_was_added_since_the_last_second() -> None:
    statsd = Statsd("127.0.0.1:8125", tags=True)
    counter, gauge = Family("outbid_bids_total", COUNTER, "b", ("arm",)), Family("outbid_held", GAUGE, "h")
    timing = Histogram("outbid_decision_seconds", "d", (0.001, 0.002, 0.004), ("arm",))
    counter.add(5, "stable")
    gauge.set(1)
    timing.add(1, 10, 0.015, "stable")
    assert list(statsd.lines([counter, gauge, timing])) == [
        b"outbid.bids:5|c|#arm:stable",
        b"outbid.held:1|g",
        b"outbid.decision_seconds:1.41421|ms|@0.1|#arm:stable",  # ten of between 1 and 2 ms
    ]
    counter.add(2, "stable")
    assert list(statsd.lines([counter, gauge, timing])) == [b"outbid.bids:2|c|#arm:stable", b"outbid.held:1|g"]
    plain = Statsd("127.0.0.1:8125", tags=False)
    assert list(plain.lines([counter])) == [b"outbid.bids.stable:7|c"]


def test_datagrams_reach_a_sink_and_none_is_too_long() -> None:
    async def send(port: int) -> Statsd:
        statsd = Statsd(f"127.0.0.1:{port}", tags=True)
        finding = asyncio.create_task(statsd.run())
        while statsd.target is None:
            await asyncio.sleep(0)
        statsd.send(busy_host().families())
        finding.cancel()
        statsd.close()
        return statsd

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.setblocking(False)
        statsd = asyncio.run(send(sink.getsockname()[1]))
        datagrams: list[bytes] = []

        def received() -> bool:
            try:
                datagrams.append(sink.recv(65_536))
            except BlockingIOError:
                return False
            return b"outbid.clock_jumps" in datagrams[-1] or b"outbid.disk_bytes" in datagrams[-1]

        wait_until(received, 5.0, "the last of them")
    assert b"outbid.requests:100|c|#exchange:openx,arm:stable" in b"\n".join(datagrams)
    assert statsd.dropped == 0
    assert max(map(len, datagrams)) <= DATAGRAM
    assert len(datagrams) > 1


def test_a_sink_that_is_not_there_costs_a_count_and_nothing_else() -> None:
    statsd = Statsd("127.0.0.1:9", tags=True)
    statsd.send(busy_host().families())  # before its address was found
    assert statsd.dropped > 0
    dropped = statsd.dropped
    statsd.target = (socket.AF_INET, ("127.0.0.1", 9))  # nobody reads there
    for _ in range(3):
        statsd.send(busy_host().families())
    assert statsd.dropped == dropped
    statsd.target = (socket.AF_INET, ("240.0.0.1", 9))  # no way leads there
    statsd.send(busy_host().families())
    assert statsd.family().values[()] == statsd.dropped
    statsd.close()
