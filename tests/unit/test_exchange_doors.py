"""Who may speak for an exchange: secrets, addresses; and answers that leave compressed."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.http import Connections
from bidder.cli.context import make_state
from bidder.openrtb.rows import exchange_rows
from bidder.outcome import Reason
from bidder.settings import Exchange, SettingsError, parse
from bidder.supervisor import StartError, Supervisor
from tests.http_wire import Conversation, no_route, post
from tests.worlds import PUBLIC_URL, World, banner, campaign, request

BODY = json.dumps(request()).encode()
SECRET = "0123456789abcdefXYZ"
NEVER = 500, b""


def world(directory: Path, **changes: Any) -> World:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "secret").write_text(SECRET + "\n")
    long = campaign(creatives=[banner(adm="<b>advertisement</b>" * 60)])
    return World(directory, [long], exchanges={"openx": Exchange(key=2, **changes), "generic": Exchange(key=1)})


def told(here: World, *fields: str, path: str = "/bid/openx") -> tuple[int, int | None]:
    """Status, and the reason that was counted."""
    talk = Conversation(lambda exchange, body: NEVER, connections=Connections(here.decider, no_route))
    talk.feed(post(BODY, *fields, path=path))
    (status,) = talk.statuses
    counted = [row.reason for row in here.drain() if row.kind == 3]
    return status, counted[0] if counted else None


def test_a_secret_in_the_path_opens_its_exchange_alone(tmp_path: Path) -> None:
    here = world(tmp_path, secret_file="secret")
    assert told(here, path=f"/bid/openx/{SECRET}") == (200, None)
    assert told(here, path=f"/bid/openx/{SECRET}?a=b") == (200, None)
    wrong = ["/bid/openx", "/bid/openx/", f"/bid/openx/{SECRET}x", f"/bid/openx/{SECRET[:-1]}", "/bid/openx/?" + SECRET]
    assert [told(here, path=path) for path in wrong] == [(204, Reason.SECRET)] * len(wrong)
    assert told(here, path="/bid/generic") == (200, None)
    assert told(here, path=f"/bid/generic/{SECRET}") == (404, None)
    assert told(here, path=f"/bid/openxx/{SECRET}") == (404, None)


def test_a_secret_in_a_field_is_found_by_its_name_without_case(tmp_path: Path) -> None:
    here = world(tmp_path, secret_file="secret", secret_header="X-Bid-Key")
    assert told(here, f"x-BID-key:\t{SECRET}  ") == (200, None)
    assert told(here, "X-Bid-Keys: a", f"X-Bid-Key: {SECRET}") == (200, None)
    for fields in (
        [],
        [f"X-Bid-Key: {SECRET}."],
        ["X-Bid-Key:"],
        [f"X-Bid: X-Bid-Key: {SECRET}"],
        [f"X-Key: {SECRET}"],
    ):
        assert told(here, *fields) == (204, Reason.SECRET)
    assert told(here, path=f"/bid/openx/{SECRET}") == (404, None)


def test_a_secret_is_read_from_its_file_or_the_row_is_refused(tmp_path: Path) -> None:
    row = {"openx": Exchange(key=2, secret_file="keys/openx.secret")}
    with pytest.raises(SettingsError, match=r"exchanges\.openx\.secret_file.*No such file"):
        exchange_rows(row, PUBLIC_URL, state=tmp_path)
    (tmp_path / "keys").mkdir()
    for text in ("", "short\n", "with a blank in between", "a/path/of/sixteen", "é" * 20):
        (tmp_path / "keys" / "openx.secret").write_text(text)
        with pytest.raises(SettingsError, match=r"exchanges\.openx\.secret_file"):
            exchange_rows(row, PUBLIC_URL, state=tmp_path)


@pytest.mark.parametrize(
    ("allow", "let_in"),
    [
        (("192.0.2.0/24",), True),
        (("192.0.2.7",), True),
        (("2001:db8::/32", "192.0.2.0/29"), True),
        (("192.0.2.8",), False),
        (("2001:db8::/32",), False),
        ((), True),
    ],
)
def test_addresses_that_are_not_listed_get_the_no_bid_unread(
    tmp_path: Path, allow: tuple[str, ...], let_in: bool
) -> None:
    here = world(tmp_path, allow=allow)  # the wire's peer is 192.0.2.7
    assert told(here) == ((200, None) if let_in else (204, Reason.PEER))
    assert told(here, path="/bid/generic") == (200, None)


def packed(here: World, *fields: str, path: str = "/bid/openx") -> tuple[bool, bytes]:
    talk = Conversation(lambda exchange, body: NEVER, connections=Connections(here.decider, no_route))
    talk.feed(post(BODY, *fields, path=path))
    (answer,) = talk.answers
    return answer.fields.get("content-encoding") == "gzip", answer.body


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("Accept-Encoding: gzip", True),
        ("accept-encoding: br, GZIP;q=0.5", True),
        ("Accept-Encoding: deflate, gzip", True),
        ("Accept-Encoding: gzip;q=0", False),
        ("Accept-Encoding: gzip; q=0.000, br", False),
        ("Accept-Encoding: gzipped, identity", False),
        ("Accept: gzip", False),
    ],
)
def test_answers_leave_compressed_where_exchange_and_request_have_it_so(
    tmp_path: Path, field: str, wanted: bool
) -> None:
    here = world(tmp_path, gzip=True)
    compressed, body = packed(here, field)
    assert compressed == wanted
    assert json.loads(gzip.decompress(body) if compressed else body)["id"] == "r-1"
    assert packed(here, field, path="/bid/generic")[0] is False


def test_an_answer_that_fits_into_a_segment_stays_as_it_is(tmp_path: Path) -> None:
    here = World(tmp_path, [campaign()], exchanges={"openx": Exchange(key=2, gzip=True, notices=("burl",))})
    compressed, body = packed(here, "Accept-Encoding: gzip")
    assert (compressed, len(body) < 1_200) == (False, True)


def test_a_compressed_request_meets_the_same_guards(tmp_path: Path) -> None:
    here = world(tmp_path, secret_file="secret", secret_header="x-key")
    zipped = gzip.compress(BODY)
    for key, status in ((SECRET, 200), ("wrong", 204)):
        talk = Conversation(lambda exchange, body: NEVER, connections=Connections(here.decider, no_route))
        talk.feed(post(zipped, "Content-Encoding: gzip", f"X-Key: {key}"))
        assert talk.statuses == [status]


def test_a_host_does_not_start_without_the_secret_that_its_settings_name(tmp_path: Path) -> None:
    state = make_state(tmp_path / "state")
    settings = parse({"exchanges": {"openx": {"secret_file": "keys/openx"}}}, "test")
    with pytest.raises(StartError, match=r"exchanges\.openx\.secret_file"):
        Supervisor(state, settings, "a host")


def test_what_is_kept_for_a_spot_check_names_the_exchange_and_not_its_secret(tmp_path: Path) -> None:
    here = world(tmp_path, secret_file="secret")
    here.decider.sample()
    assert told(here, path=f"/bid/openx/{SECRET}") == (200, None)
    kept = here.decider.sample()
    assert kept is not None
    assert kept[:2] == (b"openx", BODY)
