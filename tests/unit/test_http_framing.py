"""The listener refuses what two readers could understand differently, and reads all that is sound."""

import pytest

from tests.http_wire import Conversation, chunked, post

HOST = b"Host: bid.example\r\n"
CHUNKED_HEAD = b"POST /bid/openx HTTP/1.1\r\nHost: bid.example\r\nTransfer-Encoding: chunked\r\n\r\n"


def with_fields(fields: bytes, body: bytes = b"hello") -> bytes:
    return b"POST /bid/openx HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def line(request_line: bytes) -> bytes:
    return request_line + b"\r\n" + HOST + b"Content-Length: 0\r\n\r\n"


MALFORMED = {
    "length and coding together": (400, with_fields(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
    "coding and length together": (400, with_fields(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
    "two equal lengths": (400, with_fields(b"Content-Length: 5\r\nContent-Length: 5\r\n")),
    "two different lengths": (400, with_fields(b"Content-Length: 5\r\nContent-Length: 6\r\n")),
    "signed length": (400, with_fields(b"Content-Length: +5\r\n")),
    "negative length": (400, with_fields(b"Content-Length: -5\r\n")),
    "list of lengths": (400, with_fields(b"Content-Length: 5,5\r\n")),
    "hexadecimal length": (400, with_fields(b"Content-Length: 0x5\r\n")),
    "empty length": (400, with_fields(b"Content-Length:\r\n")),
    "length of two words": (400, with_fields(b"Content-Length: 5 5\r\n")),
    "length with a fraction": (400, with_fields(b"Content-Length: 5.0\r\n")),
    "absurd length": (413, with_fields(b"Content-Length: 99999999999999999999999999\r\n")),
    "gzip as transfer coding": (400, with_fields(b"Transfer-Encoding: gzip, chunked\r\n")),
    "identity as transfer coding": (400, with_fields(b"Transfer-Encoding: identity\r\n")),
    "chunked twice": (400, with_fields(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
    "quoted chunked": (400, with_fields(b'Transfer-Encoding: "chunked"\r\n')),
    "chunked with a vertical tab": (400, with_fields(b"Transfer-Encoding: \x0bchunked\r\n")),
    "space behind chunked": (400, with_fields(b"Transfer-Encoding: chunked \r\n")),
    "empty transfer coding": (400, with_fields(b"Transfer-Encoding:\r\n")),
    "chunked in HTTP/1.0": (400, CHUNKED_HEAD.replace(b"/1.1", b"/1.0") + b"0\r\n\r\n"),
    "bare LF after a field": (400, with_fields(b"Content-Length: 5\n")),
    "bare LF after the request line": (400, b"POST /bid/openx HTTP/1.1\n" + HOST + b"\r\n"),
    "bare LF as end of the head": (400, b"POST /bid/openx HTTP/1.1\r\n" + HOST + b"\n"),
    "bare CR in a value": (400, with_fields(b"X: a\rb\r\nContent-Length: 5\r\n")),
    "two CR before LF": (400, with_fields(b"X: a\r\r\nContent-Length: 5\r\n")),
    "folded field": (400, with_fields(b"X: a\r\n b\r\nContent-Length: 5\r\n")),
    "folded field with a tab": (400, with_fields(b"X: a\r\n\tb\r\nContent-Length: 5\r\n")),
    "space before the first field": (400, b"POST /bid/openx HTTP/1.1\r\n " + HOST + b"\r\n"),
    "space before the colon": (400, with_fields(b"Content-Length : 5\r\n")),
    "empty name": (400, with_fields(b": x\r\nContent-Length: 5\r\n")),
    "no colon": (400, with_fields(b"Content-Length\r\n")),
    "name that is no token": (400, with_fields(b"X@Y: 1\r\nContent-Length: 5\r\n")),
    "name beyond ASCII": (400, with_fields(b"X\xe9: 1\r\nContent-Length: 5\r\n")),
    "NUL in a value": (400, with_fields(b"X: a\0b\r\nContent-Length: 5\r\n")),
    "DEL in a value": (400, with_fields(b"X: a\x7fb\r\nContent-Length: 5\r\n")),
    "two hosts": (400, with_fields(HOST + b"Content-Length: 5\r\n")),
    "no host": (400, b"POST /bid/openx HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    "two hosts in one": (400, b"POST /bid/openx HTTP/1.1\r\nHost: a, b\r\nContent-Length: 0\r\n\r\n"),
    "host with a path": (400, b"POST /bid/openx HTTP/1.1\r\nHost: a/b\r\nContent-Length: 0\r\n\r\n"),
    "unknown expectation": (417, with_fields(b"Expect: 200-ok\r\nContent-Length: 5\r\n")),
    "no version": (400, line(b"POST /bid/openx")),
    "version in lower case": (400, line(b"POST /bid/openx http/1.1")),
    "HTTP/0.9": (505, line(b"POST /bid/openx HTTP/0.9")),
    "HTTP/1.2": (505, line(b"POST /bid/openx HTTP/1.2")),
    "HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "version with two digits": (400, line(b"POST /bid/openx HTTP/1.10")),
    "two spaces": (400, line(b"POST  /bid/openx HTTP/1.1")),
    "two spaces before the version": (400, line(b"POST /bid/openx  HTTP/1.1")),
    "tab for a space": (400, line(b"POST\t/bid/openx HTTP/1.1")),
    "space behind the version": (400, line(b"POST /bid/openx HTTP/1.1 ")),
    "space before the method": (400, line(b" POST /bid/openx HTTP/1.1")),
    "method that is no token": (400, line(b"PO(T /bid/openx HTTP/1.1")),
    "endless method": (400, line(b"P" * 33 + b" /bid/openx HTTP/1.1")),
    "target beyond ASCII": (400, line(b"POST /bid/op\xc3\xa9nx HTTP/1.1")),
    "fragment": (400, line(b"POST /bid/openx#x HTTP/1.1")),
    "relative target": (400, line(b"POST bid/openx HTTP/1.1")),
    "authority as target": (400, line(b"CONNECT bid.example:80 HTTP/1.1")),
    "asterisk of another method": (400, line(b"POST * HTTP/1.1")),
    "absolute target without host": (400, line(b"POST http:///bid/openx HTTP/1.1")),
    "absolute target with a user": (400, line(b"POST http://a@b/bid/openx HTTP/1.1")),
    "two empty lines before the request": (400, b"\r\n\r\n" + post()),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"),
    "long request line": (414, line(b"POST /bid/" + b"x" * 8_192 + b" HTTP/1.1")),
    "open request line that is too long": (414, b"POST /" + b"x" * 8_192),
    "many fields": (431, with_fields(b"".join(b"X%d: 1\r\n" % i for i in range(64)))),
    "large head": (431, with_fields(b"".join(b"X: " + b"y" * 7_000 + b"\r\n" for _ in range(5)))),
    "open field that is too large": (431, b"POST /bid/openx HTTP/1.1\r\nX: " + b"y" * 32_768),
    "chunk size without digits": (400, CHUNKED_HEAD + b"\r\nhello"),
    "chunk size with a sign": (400, CHUNKED_HEAD + b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with 0x": (400, CHUNKED_HEAD + b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size behind a space": (400, CHUNKED_HEAD + b" 5\r\nhello\r\n0\r\n\r\n"),
    "space behind the chunk size": (400, CHUNKED_HEAD + b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk size that overflows 64 bits": (400, CHUNKED_HEAD + b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "absurd chunk size": (413, CHUNKED_HEAD + b"fffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "bare LF after the chunk size": (400, CHUNKED_HEAD + b"5\nhello\r\n0\r\n\r\n"),
    "bare CR in a chunk extension": (400, CHUNKED_HEAD + b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension without a name": (400, CHUNKED_HEAD + b"5;\r\nhello\r\n0\r\n\r\n"),
    "space in a chunk extension": (400, CHUNKED_HEAD + b"5; a\r\nhello\r\n0\r\n\r\n"),
    "chunk extension without a value": (400, CHUNKED_HEAD + b"5;a=\r\nhello\r\n0\r\n\r\n"),
    "open quote in a chunk extension": (400, CHUNKED_HEAD + b'5;a="b\\"\r\nhello\r\n0\r\n\r\n'),
    "control character in a quoted extension": (400, CHUNKED_HEAD + b'5;a="\0"\r\nhello\r\n0\r\n\r\n'),
    "long chunk line": (400, CHUNKED_HEAD + b"5;" + b"x" * 300 + b"\r\nhello\r\n0\r\n\r\n"),
    "open chunk line that is too long": (400, CHUNKED_HEAD + b"5;" + b"x" * 300),
    "many chunk extensions": (400, CHUNKED_HEAD + b"".join(b"1;" + b"x" * 200 + b"\r\na\r\n" for _ in range(25))),
    "chunk longer than its size": (400, CHUNKED_HEAD + b"4\r\nhello\r\n0\r\n\r\n"),
    "bare LF after a chunk": (400, CHUNKED_HEAD + b"5\r\nhello\n0\r\n\r\n"),
    "two bytes that are no CRLF after a chunk": (400, CHUNKED_HEAD + b"5\r\nhelloXX0\r\n\r\n"),
    "trailer without a name": (400, CHUNKED_HEAD + b"0\r\n: x\r\n\r\n"),
    "length in the trailers": (400, CHUNKED_HEAD + b"0\r\nContent-Length: 5\r\n\r\n"),
    "connection in the trailers": (400, CHUNKED_HEAD + b"0\r\nConnection: close\r\n\r\n"),
    "coding in the trailers": (400, CHUNKED_HEAD + b"0\r\ntransfer-encoding: chunked\r\n\r\n"),
    "bare LF in the trailers": (400, CHUNKED_HEAD + b"0\r\nX: y\n\r\n"),
    "large trailers": (400, CHUNKED_HEAD + b"0\r\n" + b"".join(b"X: " + b"y" * 500 + b"\r\n" for _ in range(10))),
}


@pytest.mark.parametrize(("status", "data"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_request_is_refused_and_ends_its_connection(status: int, data: bytes) -> None:
    talk = Conversation(lambda exchange, body: (200, b"{}"))
    talk.feed(data + post())
    assert talk.statuses == [status]
    assert talk.answers[0].fields["connection"] == "close"
    assert talk.asked == []
    assert talk.wire.half_closed, "the peer must be able to read the answer before the socket closes"
    assert talk.connections.refused == 1


@pytest.mark.parametrize("name", [name for name, (_, data) in MALFORMED.items() if len(data) < 2_000])
def test_malformed_request_gets_the_same_status_byte_by_byte(name: str) -> None:
    status, data = MALFORMED[name]
    talk = Conversation(lambda exchange, body: (200, b"{}"))
    talk.feed_all(bytes([byte]) for byte in data)
    assert talk.statuses == [status]


SOUND = {
    "length": (post(b"hello"), b"hello"),
    "length with leading zeros": (with_fields(b"Content-Length: 005\r\n"), b"hello"),
    "length between spaces and tabs": (with_fields(b"Content-Length:\t 5 \t\r\n"), b"hello"),
    "names in any case": (with_fields(b"cOnTeNt-LeNgTh: 5\r\n"), b"hello"),
    "no body": (with_fields(b"", b""), b""),
    "chunks": (chunked(b"he", b"l", b"lo"), b"hello"),
    "chunk sizes in upper case": (CHUNKED_HEAD + b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "chunk size with leading zeros": (CHUNKED_HEAD + b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "chunk extension": (CHUNKED_HEAD + b'5;a="b;\\"c";d=e\r\nhello\r\n0;c\r\n\r\n', b"hello"),
    "trailers": (chunked(b"hello", ending=b"0\r\nX: y\r\nETag: z\r\n\r\n"), b"hello"),
    "chunked in upper case": (chunked(b"hello").replace(b"chunked", b"Chunked"), b"hello"),
    "no chunks": (chunked(), b""),
    "one empty line before the request": (b"\r\n" + post(b"hello"), b"hello"),
    "bytes beyond ASCII in a value": (with_fields(b"X: \xff\xfe\r\nContent-Length: 5\r\n"), b"hello"),
    "empty value": (with_fields(b"X:\r\nContent-Length: 5\r\n"), b"hello"),
    "empty host": (post(b"hello").replace(b"bid.example", b""), b"hello"),
    "host with a port": (post(b"hello").replace(b"bid.example", b"[::1]:8000"), b"hello"),
    "absolute target": (post(b"hello", path="http://bid.example:80/bid/openx"), b"hello"),
    "query": (post(b"hello", path="/bid/openx?a=/b?c"), b"hello"),
    "64 fields": (with_fields(b"".join(b"X%d: 1\r\n" % i for i in range(62)) + b"Content-Length: 5\r\n"), b"hello"),
    "longest request line": (post(b"hello", path="/bid/openx?" + "x" * (8_191 - 25)), b"hello"),
}


@pytest.mark.parametrize(("data", "body"), SOUND.values(), ids=SOUND.keys())
def test_sound_request_is_read_and_its_connection_stays(data: bytes, body: bytes) -> None:
    talk = Conversation(lambda exchange, body: (204, b""))
    talk.feed(data)
    talk.feed(post(b"next"))
    assert talk.asked == [(b"openx", body), (b"openx", b"next")]
    assert talk.statuses == [204, 204]
    assert not talk.wire.half_closed
    assert not talk.wire.closed
