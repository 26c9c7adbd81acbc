"""What reaches a host from outside, with markers in it: requests, what is no request, and HTTP that is none."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from tests.blackbox.taint import FRACTION, LARGE, SMALL, WORD, Json

SIZE = (311, 47)
Place = tuple[str | int, ...]

# As many kinds of member as OpenRTB has; all are read, or skipped as unknown.
REQUEST: Json = {
    "id": "auction-1",
    "test": 0,
    "at": 1,
    "tmax": 200,
    "allimps": 0,
    "cur": ["USD"],
    "wseat": ["outbid"],
    "bseat": ["x"],
    "bcat": ["IAB26"],
    "badv": ["bad.example"],
    "bapp": ["com.bad"],
    "acat": [],
    "wlang": ["en"],
    "cattax": 1,
    "imp": [
        {
            "id": "1",
            "tagid": "slot-9",
            "displaymanager": "sdk",
            "secure": 0,
            "instl": 0,
            "bidfloor": 0.01,
            "bidfloorcur": "USD",
            "exp": 60,
            "iframebuster": ["x"],
            "ext": {"gpid": "/1/home", "deep": {"er": ["v", 7]}},
            "banner": {
                "w": SIZE[0],
                "h": SIZE[1],
                "format": [{"w": SIZE[0], "h": SIZE[1], "ext": {"a": "b"}}],
                "pos": 1,
                "btype": [4],
                "battr": [13],
                "api": [5],
                "mimes": ["image/png"],
                "id": "b",
                "vcm": 0,
            },
            "metric": [{"type": "viewability", "value": 0.7, "vendor": "v"}],
            "pmp": {"private_auction": 0, "deals": [{"id": "deal-7", "bidfloor": 0.02, "bidfloorcur": "USD", "at": 1}]},
        },
        {
            "id": "2",
            "video": {
                "mimes": ["video/mp4"],
                "protocols": [3],
                "minduration": 5,
                "maxduration": 30,
                "w": 640,
                "h": 360,
                "rqddurs": [15],
                "podid": "p-1",
                "durfloors": [{"mindur": 5, "maxdur": 9, "bidfloor": 1.5}],
                "companionad": [{"w": 300, "h": 250, "id": "co"}],
                "ext": {"rewarded": 1},
            },
            "native": {"request": '{"ver":"1.2","assets":[{"id":1,"title":{"len":90}}],"ext":{"a":"b"}}', "ver": "1.2"},
        },
    ],
    "app": {
        "id": "a-1",
        "name": "News",
        "bundle": "com.news.app",
        "domain": "news.example",
        "storeurl": "https://s.example/a",
        "cat": ["IAB12"],
        "ver": "3.1",
        "keywords": "k1,k2",
        "privacypolicy": 1,
        "paid": 0,
        "publisher": {"id": "pub-7", "name": "Pub", "domain": "pub.example", "cat": ["IAB12"]},
        "content": {"id": "c-1", "title": "t", "url": "https://c.example/", "genre": "g", "data": [{"id": "d"}]},
    },
    "device": {
        "ua": "Mozilla/5.0 (Linux)",
        "ip": "203.0.113.7",
        "ipv6": "2001:db8::7",
        "ifa": "6f8a-17",
        "didsha1": "aa",
        "dpidmd5": "bb",
        "macsha1": "cc",
        "os": "Android",
        "osv": "14",
        "make": "Google",
        "model": "Pixel",
        "hwv": "x",
        "carrier": "T",
        "language": "en",
        "devicetype": 4,
        "connectiontype": 2,
        "w": 1080,
        "h": 1920,
        "ppi": 400,
        "js": 1,
        "lmt": 0,
        "dnt": 0,
        "mccmnc": "310-005",
        "sua": {"browsers": [{"brand": "Chrome", "version": ["1"]}], "mobile": 1, "model": "Pixel"},
        "geo": {
            "lat": 40.71,
            "lon": -74.0,
            "type": 1,
            "accuracy": 5,
            "country": "USA",
            "region": "NY",
            "metro": "501",
            "city": "New York",
            "zip": "10001",
            "utcoffset": -300,
        },
        "ext": {"atts": 3, "xff": "203.0.113.9"},
    },
    "user": {
        "id": "u-1",
        "buyeruid": "b-1",
        "yob": 1980,
        "gender": "F",
        "keywords": "k",
        "customdata": "cd",
        "consent": "CPx",
        "geo": {"lat": 40.7, "zip": "10001"},
        "data": [{"id": "dmp", "name": "n", "segment": [{"id": "s-1", "name": "sn", "value": "v"}]}],
        "eids": [{"source": "id.example", "uids": [{"id": "eid-1", "atype": 1}]}],
        "ext": {"consent": "CPy", "eids": [{"source": "old.example", "uids": [{"id": "eid-2"}]}]},
    },
    "regs": {
        "coppa": 0,
        "gdpr": 0,
        "us_privacy": "1YNN",
        "gpp": "DBAA",
        "gpp_sid": [-1],
        "ext": {"gdpr": 0, "us_privacy": "1---", "gpc": "0"},
    },
    "source": {
        "fd": 1,
        "tid": "tid-1",
        "pchain": "p",
        "schain": {"complete": 1, "ver": "1.0", "nodes": [{"asi": "x.example", "sid": "1"}]},
    },
    "ext": {"prebid": {"server": "x"}},
}


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value that holds no other."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*place, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from leaves(inner, (*place, n))
    else:
        yield place, value


def planted(document: Json, place: Place, value: Any) -> Json:
    """The document with another value there."""
    changed = copy.deepcopy(document)
    inner: Any = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return changed


def overgrown(value: Any) -> Any:
    """With unknown members in every object, of which keys and values are markers."""
    if isinstance(value, list):
        return [overgrown(item) for item in value]
    if not isinstance(value, dict):
        return value
    grown = {key: overgrown(inner) for key, inner in value.items()}
    return grown | {WORD: WORD, f"x-{WORD}": {WORD: [WORD, LARGE, FRACTION, {WORD: None}]}}


def saturated(value: Any) -> Any:
    """Markers for all leaves at once."""
    if isinstance(value, dict):
        return {key: saturated(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [saturated(item) for item in value]
    return WORD if isinstance(value, str) else FRACTION if isinstance(value, float) else LARGE


def variants() -> Iterator[Json]:
    """A marker for one leaf after the other, as a text, a number and more; then in unknown members, and everywhere."""
    yield REQUEST
    for path, value in leaves(REQUEST):
        yield planted(REQUEST, path, WORD)
        yield planted(REQUEST, path, FRACTION if isinstance(value, float) else LARGE)
        yield planted(REQUEST, path, [SMALL, WORD, {WORD: WORD}])
    yield overgrown(REQUEST)
    for part in ("device", "user", "app", "source", "regs", "ext"):
        yield REQUEST | {part: saturated(REQUEST[part])}
    bidding = ("imp", "cur", "wseat", "bseat", "at", "test", "acat", "wlang", "bcat", "badv", "bapp", "cattax", "tmax")
    yield {key: value if key in bidding else saturated(value) for key, value in REQUEST.items()}
    yield saturated(REQUEST)
    yield saturated(overgrown(REQUEST))
    site = {"id": WORD, "page": f"https://{WORD}.example/{WORD}?q={WORD}", "ref": WORD, "search": WORD, "domain": WORD}
    yield {key: value for key, value in REQUEST.items() if key != "app"} | {"site": site}


def broken_bodies() -> Iterator[bytes]:
    """What is no request, with a marker wherever a parser may stumble."""
    whole = json.dumps(saturated(REQUEST)).encode()
    yield from (whole[:n] for n in range(1, len(whole), 97))
    yield whole + WORD.encode()
    yield b'{"id":"' + WORD.encode() + b"\xff\xfe" + b'","imp":[]}'
    yield b'{"' + WORD.encode() + b'":NaN}'
    yield b'{"id":"\\u' + WORD.encode() + b'"}'
    yield b"[" * 5_000 + json.dumps(WORD).encode()
    yield json.dumps([WORD, LARGE]).encode()
    yield json.dumps(WORD).encode()
    yield json.dumps({"id": WORD}).encode()
    yield json.dumps({"id": WORD, "imp": [{"banner": {}, "id": WORD}, {"id": WORD}]}).encode()
    yield WORD.encode()


# `|` ends a line, `@` is the marker, `~` a hundred of them; what follows an empty line is the body.
HEADS = """
POST /bid/@ HTTP/1.1|Host: a|Content-Length: 2||{}
GET /@?@=@ HTTP/1.1|Host: a||
GET /@ HTTP/9.9|Host: a||
@ / HTTP/1.1|Host: a||
@||
\x16\x03\x01@||
GET / HTTP/1.1|Host: @|Host: @||
GET / HTTP/1.1|Host: @/:#||
GET / HTTP/1.1|Host: a|@||
GET / HTTP/1.1|Host: a| @: folded||
GET / HTTP/1.1|Host: a|X: \x00@||
POST / HTTP/1.1|Host: a|Content-Length: @||
POST / HTTP/1.1|Host: a|Content-Length: 1, @||
POST / HTTP/1.1|Host: a|Transfer-Encoding: @||
POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||@|
POST /bid/generic HTTP/1.1|Host: a|Transfer-Encoding: chunked||2;@|{}|0|T: @||
POST /bid/generic HTTP/1.1|Host: a|Content-Encoding: @|Content-Length: 2||{}
POST / HTTP/1.1|Host: a|Expect: @|Content-Length: 2||{}
POST / HTTP/1.1|Host: a|Content-Type: multipart/form-data; boundary=@|Content-Length: 15||@
POST / HTTP/1.1|Host: a|Content-Type: multipart/form-data|X: @|Content-Length: 2||{}
POST / HTTP/1.1|Host: a|Content-Type: application/x-www-form-urlencoded|Content-Length: 20||@=%ff&=
GET /conversion/@?value=@&@=@ HTTP/1.1|Host: a||
GET /error/@?code=@ HTTP/1.1|Host: a||
POST /win/@ HTTP/1.1|Host: a|Content-Type: application/x-www-form-urlencoded|Content-Length: 20||@=%ff&=
GET /%ff%00@ HTTP/1.1|Host: a|Cookie: @="@|Range: @||
GET / HTTP/1.1|Host: a|X-Forwarded-For: @|Referer: @|Authorization: Basic @||
GET / HTTP/1.1|Host: a|If-None-Match: @|Accept-Encoding: @|Connection: @||
GET /leases/sync HTTP/1.1|Host: a|X: @||
POST /leases/sync HTTP/1.1|Host: a|Content-Length: 17||{"@":"@"
POST /leases/sync HTTP/1.1|Host: a|Content-Length: 15||@
GET /book/@ HTTP/1.1|Host: a||
GET / HTTP/1.1|Host: a|X: ~~~~|Y: ~~~~|Z: ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~||
GET /~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ HTTP/1.1|Host: a||
POST /bid/generic HTTP/1.1|Host: a|Content-Length: 999999999||@
PRI * HTTP/2.0||SM||@
"""


def heads() -> Iterator[bytes]:
    """Heads that are wrong, or unusual, with a marker in all of their parts; for any of the servers."""
    for line in HEADS.strip().splitlines():
        text = line.replace("|", "\r\n").replace("~", "@" * 100).replace("@", WORD)
        yield text.encode("latin-1").decode("unicode_escape").encode("latin-1")
