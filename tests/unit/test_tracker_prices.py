"""Prices of notices in every form: what opens, what is flagged, and the key files."""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.events.schema import NoticeFlag
from bidder.ops.log import get
from bidder.settings import Exchange
from bidder.tracking.prices import PriceKeyError, PriceKeys, decrypt, load_price_keys, read_amount
from bidder.tracking.sources import PriceKeyFiles

# Published with Google's "Decrypt Price Confirmations".
ENCRYPTION = "skU7Ax_NL5pPAFyKdkfZjZz2-VhIN8bjj1rVFOaJ_5o="
INTEGRITY = "arO23ykdNqUQ5LEoQ0FVmPkBd7xB5CO89PDZlSjpFxo="
PUBLISHED = [
    ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msaw", 100),
    ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCAWJRxOgA", 1900),
    ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemC32prpWWw", 2700),
]
KEYS = PriceKeys(base64.urlsafe_b64decode(ENCRYPTION), base64.urlsafe_b64decode(INTEGRITY))
OTHERS = PriceKeys(bytes(32), bytes(range(32)))
GOOGLE = Exchange(key=5, price="google")


def encrypted(price: int, keys: PriceKeys = KEYS, vector: bytes = b"sixteen bytes iv") -> str:
    plain = price.to_bytes(8, "big")
    pad = hmac.new(keys.encryption, vector, hashlib.sha1).digest()
    hidden = bytes(plain[n] ^ pad[n] for n in range(8))
    signature = hmac.new(keys.integrity, plain + vector, hashlib.sha1).digest()[:4]
    return base64.urlsafe_b64encode(vector + hidden + signature).decode().rstrip("=")


@pytest.mark.parametrize(("text", "units"), PUBLISHED)
def test_the_published_examples_of_google_open(text: str, units: int) -> None:
    assert decrypt(text, (KEYS,)) == units
    assert read_amount(text, GOOGLE, (KEYS,)) == (units, NoticeFlag.NONE)
    assert decrypt(text + "==", (OTHERS, KEYS)) == units


@given(st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))
def test_what_was_encrypted_opens_with_its_own_keys_only(price: int, vector: bytes) -> None:
    text = encrypted(price, KEYS, vector)
    assert decrypt(text, (KEYS,)) == price
    assert decrypt(text, (OTHERS,)) is None
    assert decrypt(text, ()) is None


@given(st.sampled_from(PUBLISHED), st.integers(0, 28 * 8 - 1))
def test_a_price_with_any_bit_changed_is_unverifiable(published: tuple[str, int], bit: int) -> None:
    message = bytearray(base64.urlsafe_b64decode(published[0] + "=="))
    message[bit // 8] ^= 1 << bit % 8
    text = base64.urlsafe_b64encode(message).decode().rstrip("=")
    assert read_amount(text, GOOGLE, (KEYS,)) == (0, NoticeFlag.PRICE_UNVERIFIABLE)


@pytest.mark.parametrize(
    "text", ["1.5", "YWJj", "YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msa", "é" * 38, "=" * 38, "a" * 10_000]
)
def test_what_is_no_encrypted_price_is_unverifiable(text: str) -> None:
    assert read_amount(text, GOOGLE, (KEYS,)) == (0, NoticeFlag.PRICE_UNVERIFIABLE)


def test_an_encrypted_price_of_nothing_or_too_much_is_invalid() -> None:
    assert read_amount(encrypted(0), GOOGLE, (KEYS,)) == (0, NoticeFlag.PRICE_INVALID)
    assert read_amount(encrypted(2**63), GOOGLE, (KEYS,)) == (0, NoticeFlag.PRICE_INVALID)


def test_the_unit_of_an_encrypted_price_is_that_of_the_row() -> None:
    openx = Exchange(key=2, price="google", price_unit_nano=1_000)
    assert read_amount(encrypted(2_400), openx, (KEYS,)) == (2_400_000, NoticeFlag.NONE)


@pytest.mark.parametrize(
    ("text", "nano", "flag"),
    [
        ("Mi40", 2_400_000, NoticeFlag.NONE),
        ("MS41MA==", 1_500_000, NoticeFlag.NONE),
        ("MS41MA", 1_500_000, NoticeFlag.NONE),
        ("2.4", 0, NoticeFlag.PRICE_INVALID),
        ("YWJj", 0, NoticeFlag.PRICE_INVALID),
        ("_w", 0, NoticeFlag.PRICE_INVALID),
        ("${AUCTION_PRICE:B64}", 0, NoticeFlag.PRICE_MISSING),
    ],
)
def test_a_price_in_base64_is_a_decimal_inside(text: str, nano: int, flag: NoticeFlag) -> None:
    assert read_amount(text, Exchange(key=1, price="base64")) == (nano, flag)


def test_key_files_have_a_pair_a_line_and_say_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "google.keys"
    path.write_text(f"# of 2026\n{ENCRYPTION} {INTEGRITY}\n\n{ENCRYPTION.rstrip('=')} {ENCRYPTION}\n")
    assert load_price_keys(path) == (KEYS, PriceKeys(KEYS.encryption, KEYS.encryption))
    assert ENCRYPTION not in repr(load_price_keys(path))
    for text in ("", ENCRYPTION, f"{ENCRYPTION} short", f"{ENCRYPTION} {INTEGRITY} {INTEGRITY}", "é"):
        path.write_text(text)
        with pytest.raises(PriceKeyError, match=r"google\.keys"):
            load_price_keys(path)
    with pytest.raises(PriceKeyError, match="missing"):
        load_price_keys(tmp_path / "missing")


def test_a_new_key_file_is_read_and_a_bad_one_leaves_the_keys_of_before(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "google.keys"
    path.parent.mkdir()
    rows = {"google": Exchange(key=5, price="google", price_keys="keys/google.keys"), "generic": Exchange(key=1)}
    files = PriceKeyFiles(tmp_path, rows, get("test"))
    assert files.refresh() == {}
    path.write_text(f"{ENCRYPTION} {INTEGRITY}\n")
    assert files.refresh() == {5: (KEYS,)}
    path.write_text("nonsense, longer than it was before\n" * 10)
    assert files.refresh() == {5: (KEYS,)}
    path.write_text(f"{INTEGRITY} {ENCRYPTION}\n")
    assert files.refresh() == {5: (PriceKeys(KEYS.integrity, KEYS.encryption),)}
