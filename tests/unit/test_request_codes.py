"""Code lists: what is packed, counted and compared by number."""

import pytest

from bidder._fast.request import Reader
from bidder.openrtb import codes


def test_every_country_has_one_code_of_each_length() -> None:
    assert len(codes.ALPHA2) == len(codes.ALPHA3) == 249
    assert codes.ALPHA2["CAN"] == "CA"
    assert codes.ALPHA3["GB"] == "GBR"


@pytest.mark.parametrize(
    ("text", "packed"), [("AAA", 1), ("aab", 2), ("ZZZ", 17576), ("US", 0), ("US1", 0), ("Éab", 0)]
)
def test_three_letters_pack_without_case_and_nothing_else_does(text: str, packed: int) -> None:
    assert codes.pack3(text) == packed


def test_unpacking_undoes_packing_for_every_country() -> None:
    assert all(codes.unpack3(codes.pack3(country)) == country for country in codes.ALPHA2)
    assert codes.unpack3(0) == ""
    with pytest.raises(ValueError, match="17577 packs no three letters"):
        codes.unpack3(17577)


def test_the_reader_packs_as_the_code_list_does() -> None:
    reader = Reader()
    for country in ("AAA", "USA", "zzz"):
        reader.parse(f'{{"device":{{"geo":{{"country":"{country}"}}}}}}'.encode())
        assert reader.view()["country"] == codes.unpack3(codes.pack3(country))


@pytest.mark.parametrize(
    ("name", "os"),
    [
        ("Android", "android"),
        ("iPhone OS", "ios"),
        ("iOS 17.2", "ios"),
        ("Mac OS X", "macos"),
        ("OSX", "macos"),
        ("Windows 10", "windows"),
        ("Fire OS", "fireos"),
        ("webOS TV", "webos"),
        ("KAIOS", "kaios"),
        ("ede", "other"),
        ("", "other"),
        ("10.1", "other"),
        ("a name longer than any that we know", "other"),
        ("é", "other"),
    ],
)
def test_an_operating_system_is_known_without_case_by_alias_and_with_a_version(name: str, os: str) -> None:
    assert codes.OS_NAMES[codes.os_key(name)] == os


def test_every_name_and_alias_of_an_operating_system_is_found() -> None:
    for key, name in enumerate(codes.OS_NAMES):
        assert codes.os_key(name.upper()) == key
    for alias, name in codes.OS_ALIASES.items():
        assert codes.OS_NAMES[codes.os_key(alias)] == name


@pytest.mark.parametrize(
    ("country", "region", "code"),
    [
        ("CAN", "QC", "CA-QC"),
        ("USA", "CA-QC", "CA-QC"),
        (None, "US-NY", "US-NY"),
        (None, "NY", None),
        ("XXX", "NY", None),
        ("USA", None, None),
        ("USA", "us-ny", "US-us-ny"),
    ],
)
def test_a_region_is_normalised_with_its_country(country: str | None, region: str | None, code: str | None) -> None:
    assert codes.region_code(country, region) == code
