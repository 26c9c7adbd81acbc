"""The benches' own parts: what there is, profiles, lists of numbers."""

from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import stages, table


def test_each_bench_says_what_it_shows() -> None:
    found = bench.benches()
    assert {"book", "hot", "latency", "money", "notices", "overload", "scale", "stages"} <= found.keys()
    assert all(found.values())


def test_an_unknown_bench_lists_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(["fast"]) == 2
    assert "overload" in capsys.readouterr().out


def test_a_profile_is_read_by_stage_without_the_cost_of_calls(tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    profile.write_text(
        "events: Ir\n\nob=(1) /x/bidder/_fast/request.so\nfn=(1) __pyx_f_6bidder_5_fast_7request_6Reader_read\n"
        "10 100\n+2 11\ncob=(2) /lib/libcrypto.so.3\ncfn=(2) AES\ncalls=1 0\n12 5000\n\n"
        "ob=(2)\nfn=(2)\n0 5000\n\nob=(3) /lib/libc.so.6\nfn=(3) memcpy\n* 7\n"
    )
    assert stages.read_profile(profile) == {"read": 111, "tokens": 5000, "libc, interpreter": 7}


def test_lists_of_numbers_may_be_grouped() -> None:
    assert table.numbers("240,1_000,10000") == [240, 1000, 10000]
