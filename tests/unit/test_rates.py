"""Files of exchange rates: read exactly, refused with a reason, never used when too old."""

import json
import struct
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from bidder.campaigns.publish import Manifest, publication
from bidder.campaigns.rates import Rates, RatesError, packed, read_rates
from bidder.controller.rates import RateFile
from bidder.openrtb.codes import pack3
from bidder.ops.log import Log
from bidder.settings import Currency
from tests import books

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
FILE = {"date": "2026-11-25", "base": "USD", "rates": {"EUR": "0.92", "JPY": "157.35"}}


def written(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(FILE | changes))
    return path


def test_rates_are_the_fractions_that_the_file_says(tmp_path: Path) -> None:
    found = read_rates(written(tmp_path / "r"), NOW, 4)
    assert found == Rates("2026-11-25", int(datetime(2026, 11, 30, tzinfo=UTC).timestamp()), found.per_usd)
    assert found.per_usd == {"EUR": (23, 25), "JPY": (3_147, 20)}


def test_any_base_will_do_as_long_as_usd_is_there(tmp_path: Path) -> None:
    path = written(tmp_path / "r", base="EUR", rates={"USD": "1.087", "JPY": 171.04, "EUR": 1})
    found = {name: Fraction(*rate) for name, rate in read_rates(path, NOW, 4).per_usd.items()}
    assert found == {"EUR": Fraction("1") / Fraction("1.087"), "JPY": Fraction("171.04") / Fraction("1.087")}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"date": "yesterday"}, "no day like"),
        ({"date": None}, "no day like"),
        ({"date": "2026-11-28"}, "of the future"),
        ({"base": "EUR"}, "neither base nor rates name USD"),
        ({"rates": []}, "an object is wanted"),
        ({"rates": {"EUR": "0"}}, "EUR: a positive decimal"),
        ({"rates": {"EUR": "-1"}}, "EUR: a positive decimal"),
        ({"rates": {"EUR": "much"}}, "EUR: a positive decimal"),
        ({"rates": {"EUR": "NaN"}}, "EUR: a positive decimal"),
        ({"rates": {"EUR": "Infinity"}}, "EUR: a positive decimal"),
        ({"rates": {"EUR": None}}, "EUR: a positive decimal"),
        ({"rates": {"EUR": "0." + "3" * 20}}, "too many digits"),
        ({"rates": {"EURO": "1"}}, "no currency"),
        ({"rates": {"eur": "1"}}, "no currency"),
    ],
)
def test_what_is_no_file_of_rates_is_refused_with_its_reason(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RatesError, match=reason):
        read_rates(written(tmp_path / "r", **changes), NOW, 4)


def test_a_file_that_is_not_there_or_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RatesError, match="No such file"):
        read_rates(tmp_path / "r", NOW, 4)
    (tmp_path / "r").write_text('{"date": "2026')
    with pytest.raises(RatesError, match="r: "):
        read_rates(tmp_path / "r", NOW, 4)
    (tmp_path / "r").write_text("[1]")
    with pytest.raises(RatesError, match="is wanted"):
        read_rates(tmp_path / "r", NOW, 4)


class Said(Log):
    """A log that is only listened to."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, msg: str, **fields: object) -> None:
        self.errors.append(str(fields.get("error")))

    def info(self, msg: str, **fields: object) -> None:
        pass


def test_the_controller_keeps_rates_while_they_are_young_and_says_why_they_end(tmp_path: Path) -> None:
    log = Said()
    file = RateFile(tmp_path, Currency(rates="rates.json", max_age_days=4), log)
    assert file.current(NOW) is None
    path = written(tmp_path / "rates.json")
    first = file.current(NOW)
    assert first is not None
    path.write_text("half a fi")
    assert file.current(NOW) == file.current(NOW + timedelta(seconds=1)) == first
    assert file.current(NOW + timedelta(days=4)) is None
    written(path, date="2026-11-29", rates={"EUR": "0.93"})
    renewed = file.current(NOW + timedelta(days=4))
    assert renewed is not None
    assert renewed.per_usd == {"EUR": (93, 100)}
    written(path, date="2026-11-21")
    assert file.current(NOW) is None
    starts = ["[Errno 2]", f"{path}: Expecting value", *["the rates of 2026-11-2"] * 2]
    assert [error[: len(start)] for error, start in zip(log.errors, starts, strict=True)] == starts


def test_a_fault_that_stays_is_said_again_every_hour(tmp_path: Path) -> None:
    log = Said()
    file = RateFile(tmp_path, Currency(rates="rates.json"), log)
    for minute in range(0, 150, 10):
        assert file.current(NOW + timedelta(minutes=minute)) is None
    assert len(log.errors) == 3


def test_without_a_file_there_are_no_rates_and_no_complaints(tmp_path: Path) -> None:
    log = Said()
    assert RateFile(tmp_path, Currency(), log).current(NOW) is None
    assert log.errors == []


def test_a_book_has_its_rates_in_the_order_in_which_they_are_looked_up(tmp_path: Path) -> None:
    rates = read_rates(written(tmp_path / "r"), NOW, 4)
    rows = list(struct.iter_unpack("<IIqQQ", packed(rates)))
    assert [row[0] for row in rows] == sorted(pack3(name) for name in ("EUR", "JPY"))
    assert {row[1] for row in rows} == {20_782}
    assert packed(None) == b""
    assert books.book(tmp_path / "book", [books.campaign()]).rates_until_s is None


def test_a_manifest_of_before_there_were_rates_is_read_as_one_without() -> None:
    import msgspec

    ready = publication(7, [], {"generic": 1}, 0, Rates("2026-11-25", 9, {"EUR": (23, 25)}))
    document = msgspec.msgpack.decode(ready.blobs[ready.manifest_key])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(document), type=Manifest) == ready.manifest
    del document["rates"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(document), type=Manifest).rates is None
