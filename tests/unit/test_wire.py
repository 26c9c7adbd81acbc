"""What travels can be read by any msgpack reader, as plain arrays in the order of the schema."""

import msgpack
import msgspec

from bidder.events.schema import Deltas, Kind, Notice, NoticeKind, Row


def test_deltas_are_plain_msgpack_arrays() -> None:
    row = Row(Kind.BID, 1, 0, 0, 1, 2, 3, 300, 250, 7, 8, 9, 10, 29_000_000, 5, 12_500_000)
    wire = msgspec.msgpack.encode(Deltas("host/bidder", 2**62, 3, 1_790_000_000_000, [row]))
    assert msgpack.unpackb(wire) == [
        "host/bidder", 2**62, 3, 1_790_000_000_000,
        [[2, 1, 0, 0, 1, 2, 3, 300, 250, 7, 8, 9, 10, 29_000_000, 5, 12_500_000]],
    ]  # fmt: skip


def test_a_notice_is_a_plain_msgpack_array_that_begins_with_kind_flags_and_bid() -> None:
    bid_id = (29_000_000).to_bytes(4, "big") + bytes(8)
    notice = Notice(
        NoticeKind.BILL,
        0,
        bid_id,
        1_790_000_000_000,
        2_400_000,
        0,
        1,
        0,
        1,
        2,
        3,
        300,
        250,
        7,
        8,
        0,
        0,
        5,
        2_400_000,
        2_400_000,
    )
    fields = msgpack.unpackb(msgspec.msgpack.encode(notice))
    assert fields[:5] == [2, 0, bid_id, 1_790_000_000_000, 2_400_000]
    assert notice.minute == 29_000_000
