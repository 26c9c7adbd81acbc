"""Keyed hashes of users: the MAC that they claim to be, whatever was hashed before."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from bidder._fast.frequency import PERIOD_S
from bidder._fast.identity import Identity
from bidder.users.keys import identity_at, keys_of

KEYS = bytes(range(64))
IDENTITY = Identity(KEYS)
ids = st.one_of(st.binary(max_size=40), st.integers(90, 300).flatmap(lambda n: st.binary(min_size=n, max_size=n)))


def block(key: bytes, plain: bytes) -> bytes:
    return Cipher(AES(key), ECB()).encryptor().update(plain)


def mac(key: bytes, origin: int, exchange: int, id: bytes) -> int:
    """CBC-MAC, as in any textbook."""
    message = bytes((origin, exchange, 0, 0)) + len(id).to_bytes(4, "little") + bytes(8) + id
    message += bytes(-len(message) % 16)
    last = bytes(16)
    for at in range(0, len(message), 16):
        last = block(key, bytes(a ^ b for a, b in zip(last, message[at : at + 16], strict=True)))
    return int.from_bytes(last[:8], "little") or 1


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 63), ids), min_size=1, max_size=4))
def test_a_digest_is_the_mac_of_whose_id_it_is_its_length_and_the_id(users: list[tuple[int, int, bytes]]) -> None:
    for origin, exchange, id in users:  # one after the other: what was before must not matter
        assert IDENTITY.digest(origin, exchange, id) == mac(KEYS[:32], origin, exchange, id)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_window_is_a_block_under_the_other_key(digest: int, subject: int, rule: int) -> None:
    plain = digest.to_bytes(8, "little") + subject.to_bytes(4, "little") + rule.to_bytes(4, "little")
    assert IDENTITY.key(digest, subject, rule) == (int.from_bytes(block(KEYS[32:], plain)[:8], "little") or 1)


def test_ids_that_differ_in_length_or_owner_alone_have_other_digests() -> None:
    users = [(1, 0, b""), (1, 0, b"\0"), (1, 0, b"\0" * 16), (2, 0, b""), (3, 1, b"u"), (3, 2, b"u"), (1, 0, b"u")]
    assert len({IDENTITY.digest(*user) for user in users}) == len(users)


def test_each_period_has_keys_of_its_own_the_same_on_all_hosts() -> None:
    keys = {keys_of(secret, period) for secret in (bytes(32), b"x" * 32) for period in (1, 2)}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {64}
    found = [identity_at(lambda period: keys_of(bytes(32), period), s).digest(1, 0, b"u") for s in (5, PERIOD_S - 1)]
    assert found[0] == found[1] == Identity(keys_of(bytes(32), 0)).digest(1, 0, b"u")


def test_keys_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes, not 3"):
        Identity(b"abc")
