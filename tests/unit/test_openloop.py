"""The open-loop load generator against a server that keeps to a script."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench import build, openloop
from tests.conditions import wait_until
from tests.scripted_server import NO_BID, Peer, Script, Scripted

BID = b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\nHTTP/1.1 204 Not\r\n\r\nthis!"
LAST = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
PATIENT_MS = 10_000


def play(server: Scripted, script: Script, bodies: list[bytes], **plan: Any) -> dict[str, Any]:
    """Counts of a load, every request of which is accounted for."""
    server.script = script
    load = openloop.load(server.url, bodies, openloop.Plan(**plan))
    load.play()
    counts = load.counts()
    load.close()
    assert counts["offered"] == counts["sent"] + counts["unsent"] + counts["skipped"] > 0
    assert counts["sent"] == counts["answered"] + counts["lost"] + counts["unanswered"]
    for what, slices in counts["per_100_ms"].items():
        assert sum(slices) == counts[what]
    return counts


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.stop()


def bid_every_other(peer: Peer, n: int) -> None:
    peer.transport.write(BID if n % 2 else NO_BID)


def test_every_request_is_counted_as_what_became_of_it(server: Scripted) -> None:
    counts = play(
        server, bid_every_other, [b"{}"], rate=400, seconds=0.5, connections=4, depth=2, deadline_ms=PATIENT_MS
    )
    assert counts["sent"] == counts["answered"] == counts["in_time"] == len(server.bodies)
    assert counts["bids"] == counts["bids_in_time"] > 0
    assert counts["nobids_in_time"] == counts["answered"] - counts["bids"] > 0
    assert not counts["errors"] + counts["closed"] + counts["garbled"]


def test_times_count_from_the_intended_time_and_from_sending(server: Scripted) -> None:
    counts = play(
        server, bid_every_other, [b"{}"], rate=400, seconds=0.5, connections=4, depth=2, deadline_ms=PATIENT_MS
    )
    for quantile in ("p50", "p99", "max"):
        assert 0 < counts["service_us"][quantile] <= counts["latency_us"][quantile]
    assert counts["latency_us"]["p50"] <= counts["latency_us"]["p99"] <= counts["latency_us"]["max"]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_answers_may_be_split_anywhere_and_hold_what_looks_like_answers(server: Scripted, size: int) -> None:
    def script(peer: Peer, n: int) -> None:
        peer.in_pieces(b"HTTP/1.1 100 Continue\r\n\r\n" + (BID if n % 3 else NO_BID), size)

    counts = play(server, script, [b"{}"], rate=200, seconds=0.3, connections=3, depth=4, deadline_ms=PATIENT_MS)
    assert counts["answered"] == counts["sent"]
    assert counts["bids"] == sum(n % 3 != 0 for peer in server.peers for n in range(1, peer.seen + 1))
    assert not counts["garbled"]


def test_late_answers_are_answers_but_not_in_time(server: Scripted) -> None:
    def script(peer: Peer, n: int) -> None:
        server.loop.call_later(0.1, peer.transport.write, BID)

    counts = play(server, script, [b"{}"], rate=100, seconds=0.3, connections=50, deadline_ms=90)
    assert counts["answered"] == counts["bids"] == counts["sent"] > 0
    assert counts["in_time"] == counts["bids_in_time"] == 0
    assert counts["service_us"]["p50"] >= 95_000


def test_other_statuses_are_errors(server: Scripted) -> None:
    script: Script = lambda peer, n: peer.transport.write(b"HTTP/1.1 503 Busy\r\ncontent-length:0\r\n\r\n")  # noqa: E731
    counts = play(server, script, [b"{}"], rate=100, seconds=0.3, deadline_ms=PATIENT_MS)
    assert counts["errors"] == counts["answered"] == counts["sent"]
    assert counts["bids"] == counts["nobids_in_time"] == 0


def test_one_connection_carries_the_bodies_in_turn_and_its_answers_in_order(server: Scripted) -> None:
    def script(peer: Peer, n: int) -> None:
        if n % 4 == 0:  # the pipeline is full by then, or the next ones are about to come
            for which in range(n - 3, n + 1):
                peer.transport.write(BID if which % 4 == 1 else NO_BID)

    bodies = [b"a" * 9, b"b" * 70_000, b"c"]
    counts = play(server, script, bodies, rate=2_000, seconds=0.2, connections=1, depth=4, deadline_ms=PATIENT_MS)
    assert server.bodies == [bodies[n % 3] for n in range(len(server.bodies))]
    assert counts["sent"] - counts["answered"] < 4
    assert counts["bids"] * 4 == counts["answered"] > 0


def test_what_is_due_is_lost_where_every_pipeline_is_full(server: Scripted) -> None:
    counts = play(
        server, lambda peer, n: None, [b"{}"], rate=2_000, seconds=0.1, connections=3, depth=5, deadline_ms=PATIENT_MS
    )
    assert counts["sent"] == counts["unanswered"] == 15
    assert [peer.seen for peer in server.peers] == [5, 5, 5]
    assert counts["unsent"] == counts["offered"] - 15


def test_a_free_connection_comes_before_a_pipeline(server: Scripted) -> None:
    play(server, lambda peer, n: None, [b"{}"], rate=300, seconds=0.1, connections=200, depth=9, deadline_ms=PATIENT_MS)
    assert max(peer.seen for peer in server.peers) == 1


def test_what_would_be_sent_too_late_is_skipped(server: Scripted) -> None:
    counts = play(server, lambda peer, n: None, [b"{}"], rate=1e6, seconds=0.05, connections=1, late_ms=1e-6)
    assert counts["skipped"] > 0.9 * counts["offered"]
    counts = play(server, lambda peer, n: None, [b"{}"], rate=1e6, seconds=0.05, connections=1, deadline_ms=1e-6)
    assert counts["skipped"] > 0.9 * counts["offered"]


def test_a_closed_connection_loses_what_waits_on_it_and_is_opened_again(server: Scripted) -> None:
    counts = play(server,
        lambda peer, n: peer.transport.close() if n == 3 else peer.transport.write(NO_BID),
        [b"{}"], rate=200, seconds=0.6, connections=2, deadline_ms=PATIENT_MS,
    )  # fmt: skip
    assert counts["closed"] == counts["lost"] >= 2
    assert len(server.peers) > 2
    assert counts["answered"] >= 4


def test_an_answer_may_be_its_connections_last(server: Scripted) -> None:
    counts = play(
        server,
        lambda peer, n: peer.transport.write(LAST),
        [b"{}"],
        rate=200,
        seconds=0.3,
        connections=2,
        deadline_ms=PATIENT_MS,
    )
    assert counts["closed"] == counts["answered"] == counts["sent"] > 2
    assert not counts["lost"] + counts["garbled"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"220 mail.example\r\n\r\n",
        b"x" * 10_000,
        NO_BID + NO_BID,
    ],
)
def test_an_answer_whose_end_is_unknown_or_that_nobody_asked_for_ends_its_connection(
    server: Scripted, answer: bytes
) -> None:
    counts = play(
        server,
        lambda peer, n: peer.transport.write(answer),
        [b"{}"],
        rate=100,
        seconds=0.2,
        connections=1,
        deadline_ms=PATIENT_MS,
    )
    assert counts["garbled"] == counts["closed"] >= 1


def test_what_a_server_closes_between_requests_is_told_apart_and_loses_nothing(server: Scripted) -> None:
    def script(peer: Peer, n: int) -> None:
        peer.transport.write(NO_BID)
        server.loop.call_later(0.02, peer.transport.close)

    counts = play(server, script, [b"{}"], rate=20, seconds=0.5, connections=4, deadline_ms=PATIENT_MS)
    assert counts["unannounced"] == counts["closed"] - counts["lost"] > 0
    assert not counts["refused"]


def test_connections_that_are_refused_while_it_plays_are_counted(server: Scripted) -> None:
    def script(peer: Peer, n: int) -> None:
        server.server.close()
        peer.transport.close()

    counts = play(server, script, [b"{}"], rate=50, seconds=0.5, connections=1, deadline_ms=PATIENT_MS)
    assert counts["lost"] == 1
    assert counts["refused"] >= 1


def test_a_load_that_is_stopped_ends_with_what_it_has_sent_answered(server: Scripted) -> None:
    server.script = bid_every_other
    load = openloop.load(server.url, [b"{}"], openloop.Plan(rate=500, seconds=600, deadline_ms=PATIENT_MS))
    thread = threading.Thread(target=load.play)
    thread.start()
    wait_until(lambda: load.counts()["answered"] > 50)
    load.stop()
    thread.join(10)
    counts = load.counts()
    load.close()
    assert counts["sent"] == counts["answered"] == len(server.bodies)


def test_what_goes_before_is_offered_but_not_in_the_result(server: Scripted) -> None:
    plan = {"rate": 100, "seconds": 0.5, "rate_before": 1_000, "seconds_before": 0.3, "connections": 32}
    counts = play(server, bid_every_other, [b"{}"], deadline_ms=PATIENT_MS, **plan)
    assert len(counts["per_100_ms"]["offered"]) == 5
    assert counts["answered"] < 100 < 200 < len(server.bodies)


def test_the_same_seed_offers_the_same(server: Scripted) -> None:
    offered = [
        play(server, bid_every_other, [b"{}"], rate=5_000, seconds=0.2, seed=seed)["per_100_ms"]["offered"]
        for seed in (3, 3, 4)
    ]
    assert offered[0] == offered[1] != offered[2]
    assert 800 < sum(offered[0]) < 1_200


def test_load_is_for_loopback_and_bounded(server: Scripted) -> None:
    plan = openloop.Plan(rate=10, seconds=1)
    for url in ("http://192.0.2.1:80", "http://localhost:80", "http://127.0.0.1"):
        with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
            openloop.load(url, [b"{}"], plan)
    for wrong in ({"rate": 1e8}, {"seconds": 1e4}, {"connections": 0}, {"depth": 9_999}, {"deadline_ms": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            openloop.load(server.url, [b"{}"], plan._replace(**wrong))
    with pytest.raises(ValueError, match="requests"):
        openloop.load(server.url, [], plan)


def test_a_server_that_is_not_there_refuses_the_load(server: Scripted) -> None:
    server.server.close()
    with pytest.raises(ConnectionRefusedError):
        openloop.load(server.url, [b"{}"], openloop.Plan(rate=10, seconds=1))


def test_a_load_is_played_once(server: Scripted) -> None:
    load = openloop.load(server.url, [b"{}"], openloop.Plan(rate=100, seconds=0.05))
    load.play()
    with pytest.raises(RuntimeError):
        load.play()
    load.close()


def test_quantiles_are_right_within_four_in_a_thousand() -> None:
    dice = random.Random(5)
    times = sorted(int(10 ** dice.uniform(0, 10)) for _ in range(20_000))
    found = build.generator().quantiles(times)
    for name, q in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        assert found[name] * 1e3 == pytest.approx(times[int(q * len(times))], rel=0.004)
    assert found["max"] * 1e3 == times[-1]
    assert build.generator().quantiles([3_000, 1_000, 2_000])["p50"] == pytest.approx(2.0, rel=0.004)
    assert set(build.generator().quantiles([]).values()) == {0.0}
    assert build.generator().quantiles([-1, 2**50])["max"] == pytest.approx(2**40 / 1e3)


def test_back_to_normal_takes_a_good_slice_and_a_good_half_second() -> None:
    def back(good: list[int], skipped: int = 0) -> int | None:
        series = {"offered": [100 + skipped] * 10, "skipped": [skipped] * 10, "bids_in_time": good}
        return openloop.back_to_normal_ms(series)

    assert back([100] * 10) == back([100] * 10, skipped=50) == 0
    assert back([0, 100, 0, 80, 100, 90, 99, 100, 100, 97]) == 400
    assert back([94] * 10) is None
    assert openloop.back_to_normal_ms({"offered": [9] * 9, "skipped": [9] * 9, "bids_in_time": [0] * 9}) is None
