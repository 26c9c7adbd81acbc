"""Bids over HTTP: what each status looks like on the wire, and which of them end a connection."""

import gzip
import zlib

import pytest

from bidder._fast.handler import BidHandler
from bidder._fast.http import Connections
from tests.http_wire import Conversation, answers_in, chunked, no_route, post


def nobid(exchange: bytes, body: bytes) -> tuple[int, bytes]:
    return 204, b""


def echo(exchange: bytes, body: bytes) -> tuple[int, bytes]:
    return 200, body


def test_bid_is_answered_with_its_body_type_and_version() -> None:
    talk = Conversation(echo)
    talk.feed(post(b'{"id":"1"}', "x-openrtb-version: 2.5"))
    (answer,) = talk.answers
    assert (answer.status, answer.body) == (200, b'{"id":"1"}')
    assert answer.fields == {
        "content-type": "application/json",
        "x-openrtb-version": "2.5",
        "content-length": "10",
    }


@pytest.mark.parametrize("said", ["2.6-202309", "two", "2", "2.", ".5", "2.5.1", "123456.7", "2.5 x"])
def test_version_that_is_no_number_is_not_echoed(said: str) -> None:
    talk = Conversation(echo)
    talk.feed(post(b"{}", f"x-openrtb-version: {said}"))
    assert talk.answers[0].fields["x-openrtb-version"] == "2.6"


def test_no_bid_is_a_204_without_length_or_body() -> None:
    talk = Conversation(nobid)
    talk.feed(post())
    assert talk.written == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_base_handler_bids_on_nothing() -> None:
    talk = Conversation(nobid, connections=Connections(BidHandler(), no_route))
    talk.feed(post())
    assert talk.statuses == [204]


@pytest.mark.parametrize("status", [400, 404, 503])
def test_refusal_of_the_handler_has_no_body_and_keeps_the_connection(status: int) -> None:
    talk = Conversation(lambda exchange, body: (status, b"never sent"))
    talk.feed(post(b"{") + post(b"{"))
    assert talk.statuses == [status, status]
    assert all(answer.fields == {"content-length": "0"} for answer in talk.answers)
    assert not talk.wire.closed


def test_handler_that_raises_is_answered_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(exchange: bytes, body: bytes) -> tuple[int, bytes]:
        raise ZeroDivisionError

    talk = Conversation(broken)
    talk.feed(post() + post())
    assert talk.statuses == [500, 500]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POSTS", "post"])
def test_other_method_gets_405_and_keeps_the_connection(method: str) -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"hello").replace(b"POST", method.encode()))
    talk.feed(post(b"next"))
    assert [(a.status, a.fields.get("allow")) for a in answers_in(talk.wire.writes[0])] == [(405, "POST")]
    assert talk.wire.writes[1].startswith(b"HTTP/1.1 204 ")
    assert talk.asked == [(b"openx", b"next")]


@pytest.mark.parametrize(
    ("path", "exchange"),
    [("/bid/openx", b"openx"), ("/bid/", b""), ("/bid/a/b", b"a/b"), ("/bid/x?y=z", b"x"), ("/bid/?x", b"")],
)
def test_exchange_is_the_path_behind_bid(path: str, exchange: bytes) -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"{}", path=path))
    assert talk.asked == [(exchange, b"{}")]


def test_pipelined_requests_are_answered_in_order_with_one_write() -> None:
    talk = Conversation(echo)
    bodies = [b"%d" % i for i in range(50)]
    talk.feed(b"".join(post(body) if int(body) % 2 else chunked(body) for body in bodies))
    assert [answer.body for answer in talk.answers] == bodies
    assert len(talk.wire.writes) == 1


def test_answers_larger_than_the_outbox_are_whole() -> None:
    talk = Conversation(lambda exchange, body: (200, body * 1_000))
    talk.feed(post(b"a" * 100) + post(b"b" * 100))
    assert [answer.body for answer in talk.answers] == [b"a" * 100_000, b"b" * 100_000]


@pytest.mark.parametrize("wrap", [post, chunked])
def test_body_of_the_greatest_size_is_read_and_one_byte_more_is_413(wrap) -> None:  # type: ignore[no-untyped-def]
    talk = Conversation(nobid, max_body_bytes=1_000)
    talk.feed(wrap(b"x" * 1_000))
    assert talk.statuses == [204]
    talk.feed(wrap(b"x" * 1_001))
    assert talk.statuses == [204, 413]
    assert talk.wire.half_closed


def test_body_far_beyond_one_read_arrives_whole() -> None:
    body = bytes(range(256)) * 1_024
    talk = Conversation(nobid)
    talk.feed(post(body) + post(b"next") + chunked(*(body[i : i + 999] for i in range(0, len(body), 999))))
    assert [asked for _, asked in talk.asked] == [body, b"next", body]


def test_what_follows_a_refused_request_is_dropped() -> None:
    talk = Conversation(nobid, max_body_bytes=10)
    talk.feed(post(b"x" * 11))
    talk.feed(post(b"ok"))
    assert talk.statuses == [413]
    assert talk.asked == []


def test_connection_close_is_honoured() -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"{}", "Connection: Keep-Alive, Close"))
    assert talk.answers[0].fields["connection"] == "close"
    assert talk.wire.closed


def test_request_behind_connection_close_is_not_answered() -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"{}", "Connection: close") + post(b"again"))
    assert talk.statuses == [204]
    assert len(talk.asked) == 1
    assert talk.wire.half_closed


def test_http_1_0_closes_unless_asked_to_stay() -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"{}", "Connection: keep-alive", version="1.0"))
    assert talk.answers[0].fields["connection"] == "keep-alive"
    assert not talk.wire.closed
    talk.feed(post(b"{}", version="1.0"))
    assert talk.answers[1].fields["connection"] == "close"
    assert talk.wire.closed


def test_http_1_0_needs_no_host() -> None:
    talk = Conversation(nobid)
    talk.feed(b"POST /bid/openx HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
    assert talk.statuses == [204]


def test_expectation_is_met_before_the_body_comes() -> None:
    talk = Conversation(nobid)
    request = post(b"hello", "Expect: 100-Continue")
    talk.feed(request[:-5])
    assert talk.wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    talk.feed(b"hello")
    assert talk.wire.writes[1:] == [b"HTTP/1.1 204 No Content\r\n\r\n"]


def test_expectation_is_passed_over_when_the_body_is_there() -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"hello", "Expect: 100-continue"))
    assert talk.statuses == [204]


@pytest.mark.parametrize(
    ("change", "status"),
    [((b"POST", b"PUT"), 405), ((b"Expect", b"Content-Encoding: br\r\nExpect"), 415), ((b": 5", b": 999999"), 413)],
)
def test_body_that_would_be_refused_is_not_asked_for(change: tuple[bytes, bytes], status: int) -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"hello", "Expect: 100-continue")[:-5].replace(*change))
    assert talk.statuses == [status]
    assert talk.wire.half_closed


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_gzip_body_is_unpacked(coding: str) -> None:
    talk = Conversation(nobid)
    talk.feed(post(gzip.compress(b'{"id":"1"}' * 100), f"Content-Encoding: {coding}"))
    assert talk.asked == [(b"openx", b'{"id":"1"}' * 100)]


def test_identity_is_no_coding() -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"{}", "Content-Encoding: identity"))
    assert talk.asked == [(b"openx", b"{}")]


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "gzip\r\nContent-Encoding: gzip", "zstd"])
def test_other_codings_get_415_and_keep_the_connection(coding: str) -> None:
    talk = Conversation(nobid)
    talk.feed(post(b"{}", f"Content-Encoding: {coding}") + post(b"next"))
    assert talk.statuses == [415, 204]
    assert talk.asked == [(b"openx", b"next")]


@pytest.mark.parametrize(
    "packed",
    [b"", b"no gzip", gzip.compress(b"{}" * 50)[:-1], gzip.compress(b"{}") + b"more", zlib.compress(b"{}")],
    ids=["empty", "garbage", "cut off", "something behind it", "zlib"],
)
def test_broken_gzip_gets_400_and_keeps_the_connection(packed: bytes) -> None:
    talk = Conversation(nobid)
    talk.feed(post(packed, "Content-Encoding: gzip") + post(b"next"))
    assert talk.statuses == [400, 204]
    assert talk.asked == [(b"openx", b"next")]


def test_gzip_bomb_gets_413_without_being_unpacked() -> None:
    talk = Conversation(nobid, max_body_bytes=100_000)
    talk.feed(post(gzip.compress(bytes(100_000)), "Content-Encoding: gzip"))
    talk.feed(post(gzip.compress(bytes(50_000_000)), "Content-Encoding: gzip"))
    assert talk.statuses == [204, 413]
    assert not talk.wire.closed
    assert [len(body) for _, body in talk.asked] == [100_000]


def test_handler_must_be_compiled() -> None:
    with pytest.raises(TypeError):
        Connections(nobid, no_route)  # type: ignore[arg-type]


def test_limits_must_be_positive() -> None:
    with pytest.raises(ValueError, match="max_body_bytes=0"):
        Connections(BidHandler(), no_route, max_body_bytes=0)
