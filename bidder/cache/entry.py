"""What a cache keeps of a key: a value, or that there is none, and until when that serves.

On the wire (memcached): `fresh_s` and `good_s` as f64 LE | 1 where there is a value, else 0 | the value.
Times: seconds of one clock, which all hosts share on the wire.
"""

import struct
from typing import NamedTuple

HEAD = struct.Struct("<dd?")


class Entry(NamedTuple):
    """`value` None: it is known that there is none. After `fresh_s` it is asked for anew, after `good_s` not served."""

    value: bytes | None
    fresh_s: float
    good_s: float

    def encode(self) -> bytes:
        """As memcached keeps it."""
        return HEAD.pack(self.fresh_s, self.good_s, self.value is not None) + (self.value or b"")


def decode(data: bytes) -> Entry | None:
    """None: another program's bytes."""
    if len(data) < HEAD.size or data[HEAD.size - 1] > 1:
        return None
    fresh_s, good_s, there = HEAD.unpack_from(data)
    return Entry(data[HEAD.size :] if there else None, fresh_s, good_s)
