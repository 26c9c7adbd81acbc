"""Requests of an arm go to its build's worker and come back, each with its answer, in order, and counted once."""

import asyncio
import json
import socket
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from bidder._fast.slice import bucket
from bidder.canary.answering import Answering, door_path
from bidder.events.schema import Fallback, Kind
from bidder.ops import log as logs
from tests.doors import (
    ASK,
    NOTHING,
    Scripted,
    asked,
    bid_of,
    fallbacks,
    host,
    run,
    wide_world,
)
from tests.http_wire import post
from tests.worlds import World, imp, request


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return wide_world(tmp_path_factory.mktemp("relay"))


def test_a_request_of_the_slice_is_answered_by_the_other_build_and_counted_once(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            build = it.build()
            packets: list[bytes] = []
            it.door(5, lambda packet: packets.append(packet) or build(packet))
            it.slice(5)
            before = world.left("c-1")
            (answer,) = await it.ask(asked())
            assert (answer.status, bid_of(answer)["cid"], len(packets)) == (200, "c-1", 1)
            assert world.left("c-1") < before
            rows = it.rows()
            assert {row.arm for row in rows} == {1}
            assert Counter(row.kind for row in rows) == {Kind.REQUEST: 1, Kind.BID: 1, Kind.LATENCY: 1}
            (answer,) = await it.ask(asked(imp=NOTHING))
            assert (answer.status, answer.body) == (204, b"")
            assert it.totals() == {(Kind.REQUEST, 1): 1, (Kind.NOBID, 1): 1, (Kind.LATENCY, 1): 1}
            assert len(packets) == 2

    run(main())


def test_a_test_request_is_answered_there_too_and_counts_nothing(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            door = Scripted(it, 5, it.build())
            it.slice(5)
            before = world.left("c-1")
            (answer,) = await it.ask(asked(test=1))
            assert (answer.status, len(door.packets), it.rows()) == (200, 1, [])
            assert world.left("c-1") == before

    run(main())


def test_a_packet_says_what_the_formats_say(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            door = Scripted(it, 5, it.build())
            it.slice(5, wait_us=770_000)
            await it.ask(asked("r-1"), asked("r-2", tmax=2_000))
            first, second = (ASK.unpack_from(packet) for packet in door.packets)
            assert first[0] == b"obq1"
            assert second[1] == first[1] + 1  # numbers
            assert (first[2], second[2]) == (770_000, 500_000)  # a quarter of tmax, where that is less
            assert (first[3], first[4]) == (world.exchanges["openx"].key, 0)
            assert first[6] != second[6]  # seeds
            assert door.packets[0][ASK.size :] == b"openx" + json.dumps(asked("r-1")).encode()

    run(main())


def test_a_sample_is_of_those_who_made_the_answer(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, it.build())
            for arm in (0, 1, 2):
                it.sender.sample(arm)
            it.slice(5)
            await it.ask(asked("theirs"))
            it.slice()
            await it.ask(asked("ours"))
            samples = [it.sender.sample(arm) for arm in (0, 1, 2)]
            ours, theirs = (json.loads(kept[2])["id"] for kept in samples[:2] if kept is not None)
            assert (ours, theirs, samples[2]) == ("ours", "theirs", None)

    run(main())


def test_groups_of_users_are_counted_by_who_read_the_request(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, it.build())
            it.slice(5)
            for offered in (True, False):
                it.rows()
                await it.ask(asked(imp=[imp()] if offered else NOTHING))
                groups = {row.reason: (row.n, row.amount) for row in it.rows(groups=True)}
                group = bucket(b"r-1") % 64
                assert groups == {group: (1, 0)} | ({group + 64: (1, 2_500_000)} if offered else {})

    run(main())


def test_pipelined_requests_are_answered_in_order_whoever_answers_them(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, it.build())
            it.slice(5, exchange=world.exchanges["pubmatic"].key)
            client = it.connect()
            paths = ["pubmatic", "openx", "openx", "pubmatic", "pubmatic", "openx"] * 20
            client.say(
                b"".join(
                    post(json.dumps(asked(f"r-{n}")).encode(), path=f"/bid/{path}") for n, path in enumerate(paths)
                )
            )
            answers = await client.hear(len(paths))
            assert [json.loads(answer.body)["id"] for answer in answers] == [f"r-{n}" for n in range(len(paths))]
            totals = it.totals()
            assert totals[Kind.REQUEST, 1] == paths.count("pubmatic")
            assert totals[Kind.REQUEST, 0] == paths.count("openx")
            assert not fallbacks(it)

    run(main())


def test_an_answer_looks_as_if_it_was_decided_here(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, it.build())
            body = json.dumps(asked()).encode()
            heads = []
            for sliced in (False, True):
                it.slice(5, end=10_000 if sliced else 0)
                client = it.connect()
                client.say(post(body, "x-openrtb-version: 2.5"))
                client.say(post(body, version="1.0"))
                client.say(post(body, "Connection: close"))
                heads.append([(a.status, sorted(a.fields)) for a in await client.hear(3)])
                client.sock.close()
            assert heads[0] == heads[1]
            assert it.totals()[Kind.FALLBACK, 1] == 0

    run(main())


def test_a_large_request_goes_through_a_door_as_well(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            door = Scripted(it, 5, it.build())
            it.slice(5)
            client = it.connect()
            large = post(json.dumps(asked(ext={"x": "y" * 250_000})).encode())
            sending = asyncio.get_running_loop().sock_sendall(client.sock, large)
            _, (answer,) = await asyncio.gather(sending, client.hear(1))
            assert (answer.status, len(door.packets)) == (200, 1)

    run(main())


def test_a_peer_that_has_said_all_still_gets_its_answers(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, it.build())
            it.slice(5)
            client = it.connect()
            client.say(post(json.dumps(asked("a")).encode()) + post(json.dumps(asked("b")).encode()))
            client.sock.shutdown(socket.SHUT_WR)
            assert [json.loads(one.body)["id"] for one in await client.hear(3)] == ["a", "b"]

    run(main())


def test_a_peer_that_is_gone_costs_nothing_but_its_answer(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            held: list[bytes] = []

            def hold(packet: bytes) -> None:
                held.append(packet)

            door = Scripted(it, 5, hold)
            it.slice(5, wait_us=30_000)
            client = it.connect()
            client.say(post(json.dumps(asked()).encode()))
            async with asyncio.timeout(10):
                while not held:
                    await asyncio.sleep(0)
            client.sock.close()
            (answer,) = await it.ask(asked())
            assert answer.status == 200
            assert len(door.packets) == 2
            assert it.totals()[Kind.REQUEST, 1] == 2

    run(main())


def test_where_no_door_is_requests_are_decided_here_at_once(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.slice(5, 6)
            answers = await it.ask(asked("a"), asked("b"))
            assert [json.loads(answer.body)["id"] for answer in answers] == ["a", "b"]
            assert fallbacks(it) == {Fallback.GONE: 2}
            it.slice()
            await it.ask(asked())
            assert fallbacks(it) == {Fallback.GONE: 1}

    run(main())


def test_a_door_takes_only_so_many_at_once_and_another_takes_the_rest(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            silent = Scripted(it, 5, lambda packet: None)
            it.slice(5, wait_us=300_000)
            clients = [it.connect() for _ in range(300)]
            for n, client in enumerate(clients):
                client.say(post(json.dumps(asked(f"r-{n}")).encode()))
            answers = [(await client.hear(1))[0] for client in clients]
            assert [json.loads(answer.body)["id"] for answer in answers] == [f"r-{n}" for n in range(300)]
            assert fallbacks(it) == {Fallback.LATE: 256, Fallback.BUSY: 44}
            assert len(silent.packets) == 256

    run(main())


def test_requests_go_round_the_doors_of_an_arm(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            doors = [Scripted(it, row, it.build()) for row in (3, 70)]
            it.slice(3, 70)
            for n in range(130):
                await it.ask(asked(f"r-{n}"))
            assert all(door.packets for door in doors)
            assert sum(len(door.packets) for door in doors) == 130

    run(main())


def test_a_slice_that_changes_is_seen_by_the_next_request(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            door = Scripted(it, 5, it.build())
            for end, sent in ((10_000, 1), (0, 1), (10_000, 2)):
                it.slice(5, end=end)
                await it.ask(asked())
                assert len(door.packets) == sent

    run(main())


def test_a_door_that_is_drained_answers_what_it_was_asked_and_is_found_no_more(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            door = it.door(5, it.build())
            it.slice(5)
            await it.ask(asked())
            it.rows()
            answers, _ = await asyncio.gather(it.ask(*[asked(f"r-{n}") for n in range(50)]), door.drain(0.02, 2))
            assert len(answers) == 50
            assert not fallbacks(it)
            assert not door_path(it.run, 1, 5).exists()

    run(main())


def test_a_door_replaces_a_dead_one_and_leaves_its_successors_alone(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "arm-1.0.sock"
        with ExitStack() as stack:
            dead = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            dead.bind(str(path))
        loop = asyncio.get_running_loop()
        first, second = (Answering(path, lambda packet: packet, 1024, logs.get("worker")) for _ in range(2))
        first.open(loop)
        assert path.stat().st_mode & 0o777 == 0o600
        second.open(loop)
        await first.drain(0, 1)
        assert path.exists()
        await second.drain(0, 1)
        assert not path.exists()

    run(main())


def test_a_packet_that_has_waited_too_long_is_not_answered(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            answer = it.build()
            kept = Scripted(it, 5, lambda packet: None)
            it.slice(5, wait_us=10_000)
            await it.ask(request())
            (packet,) = kept.packets
            assert answer(packet) is None
            head = list(ASK.unpack_from(packet))
            head[2] = 900_000_000
            assert answer(ASK.pack(*head) + packet[ASK.size :]) is not None

    run(main())


@pytest.mark.parametrize("packet", [b"", b"obq1", bytes(64), b"obq1" + bytes(10) + b"\xff" * 18])
def test_what_is_no_request_is_refused(world: World, packet: bytes) -> None:
    async def main() -> None:
        async with host(world) as it:
            with pytest.raises(ValueError, match="packet"):
                it.build()(packet)

    run(main())
