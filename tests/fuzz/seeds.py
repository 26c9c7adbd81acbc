"""What a fuzz run starts from: made here, of synthetic traffic and of every form that a request may take."""

import gzip
import itertools
import json

from bidder.simulator.traffic import requests
from tests.consent_strings import agreed, gpp_string, us_string

SEED = 29

KEYS = """
    id imp site app dooh device user regs ext cur wseat bseat bcat badv bapp cattax tmax at test banner video audio
    pmp deals secure instl bidfloor bidfloorcur w h format wmin wmax hmin hmax battr btype api private_auction wadomain
    domain page bundle publisher cat sectioncat pagecat os osv make model carrier language devicetype connectiontype ifa
    lmt dnt geo country region city metro zip lat lon buyeruid gender yob consent eids data segment coppa gdpr
    us_privacy gpp gpp_sid gpc atts
    native acat wlang wlangb langb wratio hratio expdir source mimes minduration maxduration maxextended
    rqddurs protocols protocol linearity placement plcmt skip skipmin skipafter boxingallowed minbitrate maxbitrate
    delivery podid poddur maxseq poddedupe mincpmpersec durfloors mindur maxdur request ver assets required title img
    type len eventtrackers event methods x
"""
VALUES = rb"""
    null true false {} [] [[]] [{}] {"id":"1"} 0 -0 1e400 -1e-400 0.0000005 1.5E+2 18446744073709551616
    "" "1" "USD" "usd" "USA" "1YYN" "M" "\u0041" "\ud800" "\udc00\ud800" "\ud83d\ude00" "http://u@a.example:80/p" "//b"
    "http://[::1]:8/" "Android-12.1" "00000000-0000-0000-0000-000000000000" \u \" \\ "\u0069d": NaN
"""
READER_WORDS = [
    *(f'"{key}":'.encode() for key in KEYS.split()),
    *VALUES.split(),
    *(b"\xc3\xa9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"),
]

LISTENER_WORDS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b": ", b"POST ", b"GET ", b"OPTIONS * HTTP/1.1", b"/bid/", b"/",
    b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"HTTP/1.2", b"http://a.example", b"https://a:1/x", b"?a=b", b"#", b"%41",
    b"Host: a\r\n", b"Host: \r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: 5, 5\r\n",
    b"Content-Length: +5\r\n", b"Content-Length: 18446744073709551616\r\n", b"Content-Length: 6000\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: x, close\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n", b"Expect: other\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n",
    b"x-openrtb-version: 2.6\r\n", b"X-Long: " + b"v" * 300 + b"\r\n", b" folded: 1\r\n", b"Bad Name: 1\r\n",
    b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"5\r\nhello\r\n", b"5;a=b\r\nhello\r\n", b'1;q="x;y"\r\na\r\n',
    b"FFFFFFFFFFFFFFFF\r\n",
    b"7fffffffffffffff\r\n", b"00000000000000001\r\na\r\n", b"\x00", b"\x7f", b"\x80",
]  # fmt: skip


def reader_seeds() -> list[bytes]:
    """Whole requests as exchanges send them, and small ones that hold the odd places."""
    small = [
        {"id": "1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]},
        {"id": "1", "imp": [{"id": 1}, {"id": "1"}, {"id": None}, 7], "cur": ["USD", "eur", 5], "test": True},
        {"id": "é\n", "imp": [{"id": "a", "pmp": {"deals": [{"id": "d", "bidfloor": "1.5", "wseat": ["s", 1]}]}}]},
        {"id": "1", "imp": [{"id": "1"}], "app": {"bundle": "b", "publisher": {"id": 7}, "cat": ["IAB1"]}},
        {
            "id": "1",
            "imp": [{"id": "1"}],
            "site": {"page": "http://u@h.example:8/p", "cat": ["IAB1"], "pagecat": ["x"]},
        },
        {"id": "1", "imp": [{"id": "1"}], "user": {"data": [{"segment": [{"id": "s-1"}]}], "eids": [{}], "yob": 1990}},
        {"id": "1", "imp": [{"id": "1"}], "regs": {"ext": {"gdpr": 1, "us_privacy": "1YYN"}}, "user": {"id": "u"}},
        {"id": "1", "imp": [{"id": "1"}], "device": {"geo": {"lat": 1.5, "lon": "-2", "country": "USA"}, "lmt": 0}},
        {
            "id": "1",
            "imp": [{"id": "1"}],
            "regs": {"gpp": "DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", "gpp_sid": [2, 6], "gpc": "1"},
            "user": {
                "consent": agreed(30),
                "ext": {"consent": "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"},
                "id": "u",
            },
            "device": {"ext": {"atts": 3}, "geo": {"country": "FRA"}},
        },
        {
            "id": "1",
            "imp": [{"id": "1"}],
            "regs": {"gpp": gpp_string({7: us_string(7, gpc=False), 8: us_string(8)}), "gpp_sid": [7], "gdpr": 0},
        },
        {
            "id": "1",
            "imp": [
                {"id": "1", "video": {"mimes": ["video/mp4"], "protocols": [2, 3], "skip": 0, "maxextended": -1}},
                {
                    "id": "2",
                    "audio": {"rqddurs": [15, 30], "durfloors": [{"mindur": 5, "bidfloor": 1.5}], "podid": "p"},
                },
                {"id": "3", "native": {"request": '{"native":{"ver":"1.2","assets":[{"id":1,"title":{"len":9}}]}}'}},
                {"id": "4", "native": {"request": {"assets": [{"id": 1, "img": {"type": 3, "mimes": ["a\n"]}}]}}},
            ],
        },
        {"x": [[[{"a": [None, True, -1.5e-7]}]]]},
    ]
    texts = [json.dumps(body, ensure_ascii=n % 2 == 0).encode() for n, body in enumerate(small)]
    return [*texts, *itertools.islice(requests(SEED), 40)]


def listener_seeds() -> list[bytes]:
    """One request, and several on one connection, in every framing."""

    def post(body: bytes, *fields: bytes, path: bytes = b"/bid/openx", version: bytes = b"1.1") -> bytes:
        lines = [b"POST " + path + b" HTTP/" + version, b"Host: bid.example", b"Content-Length: %d" % len(body)]
        return b"\r\n".join([*lines, *fields, b"", b""]) + body

    def chunked(*chunks: bytes, ending: bytes = b"0\r\n\r\n") -> bytes:
        head = b"POST /bid/openx HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + ending

    bodies = list(itertools.islice(requests(SEED), 3))
    single = [
        *map(post, bodies),
        post(b""),
        post(b"hello", b"x-openrtb-version: 2.5", b"Accept-Encoding: gzip", path=b"/bid/x?test=1"),
        post(b"hello", version=b"1.0"),
        post(b"hello", b"Connection: keep-alive", version=b"1.0"),
        post(b"hello", b"Connection: close"),
        post(b"hello", b"Expect: 100-continue"),
        post(gzip.compress(b'{"id":"1"}', mtime=0), b"Content-Encoding: gzip"),
        post(gzip.compress(b"0" * 50_000, mtime=0), b"Content-Encoding: gzip"),
        post(b"x" * 5_001),
        chunked(b"hello", b" ", b"world" * 20),
        chunked(b"a", ending=b"0;x=y\r\nX-Trailer: z\r\n\r\n"),
        chunked(*[b"b"] * 40),
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"GET /bid/x HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n",
        b"\r\nPOST /bid/ HTTP/1.1\r\nHost: a\r\n" + b"X-Field: v\r\n" * 60 + b"Content-Length: 1\r\n\r\nz",
    ]
    # More behind a routed request than the room that is always kept, and than is read ahead.
    waiting = [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + post(b"x" * 4_000) * n for n in (2, 3, 17)]
    return [
        *waiting,
        *single,
        post(b"one") + chunked(b"two") + post(b"three"),
        single[15] + post(b"after") + single[15],
    ]
