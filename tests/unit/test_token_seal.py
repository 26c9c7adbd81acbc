"""Tokens: genuine ones open as they were sealed, everything else is None."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bidder._fast import tokens as compiled
from bidder.money.tokens import BidIds, Key, Opener, Sealer, Token, TokenClass, seal

KEYS = (Key(3, bytes(range(32))), Key(4, bytes(32)))
SEALER = Sealer(KEYS)
PLAIN_SEALER = Sealer(KEYS)
PLAIN_SEALER.plain = True
OPENER = Opener(KEYS)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
i64 = st.integers(-(2**63), 2**63 - 1)
tokens = st.builds(
    Token,
    bid_id=st.binary(min_size=12, max_size=12),
    **dict.fromkeys(("exchange", "flags", "arm", "format", "os"), u8),
    **dict.fromkeys(("currency", "rate_version", "country", "w", "h"), u16),
    **dict.fromkeys(("campaign", "creative", "deal", "inventory", "bid_price", "taken"), u32),
    lease=i64,
    **dict.fromkeys(("asked", "user"), st.integers(0, 2**64 - 1)),
    user_stamp=u8,
)
classes = st.sampled_from(TokenClass)
SEALED = seal(SEALER, TokenClass.NOTICE, Token(b"\x01\xba\x81\x40abcdefgh", campaign=7, bid_price=2_400_000))


@given(tokens, classes)
def test_what_was_sealed_opens_as_it_was(token: Token, token_class: TokenClass) -> None:
    text = seal(SEALER, token_class, token)
    assert len(text) == 124
    assert set(text) <= set(ALPHABET)
    assert OPENER.open(text, token_class) == token == OPENER.open(text.encode(), token_class)
    other = TokenClass.PAGE if token_class is TokenClass.NOTICE else TokenClass.NOTICE
    assert OPENER.open(text, other) is None


@given(tokens, classes)
def test_every_processor_seals_the_same(token: Token, token_class: TokenClass) -> None:
    assert seal(PLAIN_SEALER, token_class, token) == seal(SEALER, token_class, token)


# Sealed with KEYS by a build from before there were currencies: prices of 64 bits, and no `asked`.
BEFORE_CURRENCIES = (
    "AwG6gUBhYmNkZWZnaIITIwd1i9fP_SvD98nz_ARBSqiyzpXGXDFhge3MICaIbf-jdGkZHYGfc9IDCNq1p8fpONQpns5U7uMqUCmlNUQYttpXHdcZsQ"
)


def test_a_token_of_an_earlier_layout_still_opens() -> None:
    assert OPENER.open(BEFORE_CURRENCIES, TokenClass.NOTICE) == Token(
        b"\x01\xba\x81\x40abcdefgh", exchange=2, flags=1, arm=3, format=1, os=4, country=5, w=320, h=50, campaign=7,
        creative=8, deal=9, inventory=10, lease=2**40 + 11, bid_price=999_999_999, taken=2_400_000,
    )  # fmt: skip


# Sealed with KEYS by a build from before caps were confirmed: 56 bytes of fields.
BEFORE_USERS = (
    "AwG6gUBhYmNkZWZnaCKlLHI3uEdeX-FEZDGopnNzKycyB2NtqI32BNdMMDglmHn0KugCADJC7cVk4-H6aODjdLArByg5l-tqS98h0qj7KJqGd--t_g"
)


def test_a_token_without_a_user_still_opens() -> None:
    assert OPENER.open(BEFORE_USERS, TokenClass.PAGE) == Token(
        b"\x01\xba\x81\x40abcdefgh", exchange=2, arm=3, format=1, os=4, currency=9_000, rate_version=20_000, country=5,
        w=320, h=50, campaign=7, creative=8, deal=9, inventory=10, lease=2**40 + 11, bid_price=999_999_999,
        taken=2_400_000, asked=2**40 + 5,
    )  # fmt: skip


@given(st.integers(0, 93 * 8 - 1))
def test_a_flipped_bit_is_not_genuine(bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(SEALED + "=="))
    raw[bit // 8] ^= 1 << bit % 8
    assert OPENER.open(base64.urlsafe_b64encode(raw).rstrip(b"="), TokenClass.NOTICE) is None


@given(st.integers(0, 123), st.sampled_from(ALPHABET + "=+/ .\x00é"))
def test_a_changed_character_is_not_genuine(at: int, character: str) -> None:
    changed = SEALED[:at] + character + SEALED[at + 1 :]
    assert (OPENER.open(changed, TokenClass.NOTICE) is None) == (changed != SEALED)


def test_trailing_bits_that_are_not_zero_are_not_genuine() -> None:
    last = ALPHABET.index(BEFORE_CURRENCIES[-1])
    for bits in range(1, 16):
        variant = BEFORE_CURRENCIES[:-1] + ALPHABET[last | bits]
        assert base64.urlsafe_b64decode(variant + "==") == base64.urlsafe_b64decode(BEFORE_CURRENCIES + "==")
        assert OPENER.open(variant, TokenClass.NOTICE) is None


@given(st.integers(0, 123))
def test_a_truncated_token_is_not_genuine(n: int) -> None:
    assert OPENER.open(SEALED[:n], TokenClass.NOTICE) is None
    assert OPENER.open(SEALED + SEALED[:n] + "A", TokenClass.NOTICE) is None
    assert OPENER.open(BEFORE_CURRENCIES[: min(n, 113)], TokenClass.NOTICE) is None


@given(
    st.one_of(
        st.binary(),
        st.text(),
        st.sampled_from([114, 124]).flatmap(lambda n: st.text(ALPHABET, min_size=n, max_size=n)),
    )
)
@example("")
@example("\ud800" * 124)
def test_whatever_is_asked_nothing_is_raised(token: str | bytes) -> None:
    assert OPENER.open(token, TokenClass.NOTICE) is None


def test_something_that_is_no_text_is_not_genuine() -> None:
    assert compiled.Opener(KEYS).fields(None, TokenClass.NOTICE) is None


@pytest.mark.parametrize(
    ("keys", "reason"),
    [((), "a key is wanted"), ((Key(300, bytes(32)),), "kid 300"), ((Key(1, b"short"),), "32 bytes")],
)
def test_keys_that_cannot_be_used_are_refused(keys: tuple[Key, ...], reason: str) -> None:
    for face in (Sealer, Opener):
        with pytest.raises(ValueError, match=reason):
            face(keys)


def test_bid_ids_carry_minute_epoch_and_counter() -> None:
    ids = BidIds(lambda n: b"EPOCH"[:n])
    assert ids.take(29_000_000) == (29_000_000).to_bytes(4, "big") + b"EPOCH" + b"\x00\x00\x00"
    assert ids.take(29_000_001) == (29_000_001).to_bytes(4, "big") + b"EPOCH" + b"\x00\x00\x01"


def test_bid_ids_stay_unique_when_the_clock_goes_back() -> None:
    ids = BidIds()
    drawn = [ids.take(minute) for minute in (8, 9, 8, 9, 8)]
    assert len(set(drawn)) == len(drawn)


def test_bid_ids_draw_a_new_epoch_when_the_counter_is_used_up() -> None:
    epochs = iter([b"first", b"other"])
    ids = BidIds(lambda n: next(epochs)[:n], first=2**24 - 1)
    assert ids.take(1)[4:] == b"first\xff\xff\xff"
    assert ids.take(1)[4:] == b"other\x00\x00\x00"
    ids = BidIds(bytes, first=2**24 - 1)
    assert ids.take(1) != ids.take(2)


def test_bid_ids_refuse_to_go_on_without_a_new_epoch() -> None:
    epochs = iter([b"first"])
    ids = BidIds(lambda n: next(epochs)[:n], first=2**24)
    with pytest.raises(RuntimeError, match="epoch"):
        ids.take(1)
