"""The compiled reader against the slow one: on real traffic, on odd requests, on what is no JSON at all."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bidder._fast.request import Reader
from bidder.settings import Consent
from tests.consent_strings import agreed, gpp_string, us_string
from tests.reference import request as reference

CORPUS = Path(
    os.environ.get("OUTBID_CORPUS", Path(__file__).resolve().parents[3] / "shared/corpus/openrtb/visible.jsonl")
)

# Values that some field can read, and values that none can.
NUMBERS = st.one_of(
    st.sampled_from(["0", "1", "2", "-1", "-0", "300", "250", "0.5", "500.0", "1e2", "5E-1", "1e400", "-1e-400"]),
    st.sampled_from(["1.0000005", "0.0000005", "0.0000004999999999999999999", "12345678901234567890"]),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: f"{d:f}" if abs(d.adjusted()) < 40 else "7"),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
)
STRINGS = st.one_of(
    st.text(max_size=20).map(json.dumps),
    st.text(max_size=20).map(lambda s: json.dumps(s, ensure_ascii=False)),
    st.sampled_from(["1", "1.50", "500", "USD", "usd", "EURO", "USA", "M", "1YYN", "1---", "0-0", ""]).map(json.dumps),
    st.sampled_from(
        ["http://u@a.example:80/p?q", "//b.example", "a.example/x@y", "http://[::1]:8/", "x:y", "app://d"]
    ).map(json.dumps),
    st.sampled_from([r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', r'"\u0031"', r'"\u0041\u00e9\u20ac"']),
    NUMBERS.map(lambda n: f'"{n}"'),
)
ODD = st.one_of(
    st.sampled_from(["null", "true", "false", "{}", "[]", "[[]]", '{"a":[1,{"b":null}]}']), NUMBERS, STRINGS
)
FLAGS = st.sampled_from(["0", "1", "1", "true", "false", '"1"', "1.0", "2", "-1"])
CODES = st.one_of(st.sampled_from(["1", "2", "3", "4", "5", "63", "64", '"3"', "2.0", "300"]), NUMBERS)
ANGLES = st.one_of(st.decimals(-181, 181, places=4).map(str), NUMBERS)
GENDERS = st.sampled_from(['"M"', '"F"', '"O"', '"m"', '"MF"'])
US_PRIVACY = st.sampled_from(['"1YYN"', '"1YNN"', '"1-y"', "null"])
CONSENT = st.one_of(st.sampled_from([json.dumps(agreed(30)), '"CPx"', '"CO-X2XiO_eyUoAsAxBFRBECsA"']), STRINGS)
GPP = st.sampled_from([gpp_string({2: agreed(30)}), gpp_string({7: us_string(7), 6: "1YNN"}), "DBAA"]).map(json.dumps)
BLANKS = st.sampled_from(["", "", "", " ", "\n\t\r "])


def mostly(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 9).flatmap(lambda n: ODD if n == 9 else value)


def array(item: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(mostly(item), max_size=4).map(lambda items: f"[{','.join(items)}]")


def member(name: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """`"name": value`, at times with an escape in the name, at times with a value of another type."""
    escaped = f'"\\u{ord(name[0]):04x}{name[1:]}"'
    key = st.sampled_from([f'"{name}"'] * 8 + [escaped, f'"{name}x"'])
    return st.tuples(key, BLANKS, mostly(value)).map(lambda t: f"{t[1]}{t[0]}{t[1]}:{t[1]}{t[2]}{t[1]}")


def object_of(**fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Members in any order, some missing, some given twice."""
    members = st.one_of([member(name, value) for name, value in fields.items()])
    return st.lists(members, min_size=1, max_size=len(fields) + 2).map(lambda all_: "{" + ",".join(all_) + "}")


SCALAR = st.one_of(STRINGS, NUMBERS)
IDS = st.sampled_from(['"1"', '"a-b"', "7", '"\\u00e9"', '"é"'])
DEAL = object_of(id=IDS, bidfloor=NUMBERS, bidfloorcur=STRINGS, at=CODES, wseat=array(SCALAR), wadomain=array(SCALAR))
PMP = object_of(private_auction=FLAGS, deals=array(DEAL))
FORMAT = object_of(w=CODES, h=CODES, wratio=CODES, hratio=CODES, wmin=CODES)
BANNER = object_of(
    w=CODES, h=CODES, format=array(FORMAT), wmin=CODES, wmax=CODES, hmin=CODES, hmax=CODES,
    battr=array(CODES), btype=array(CODES), expdir=array(CODES), api=array(CODES), ext=ODD,
)  # fmt: skip
DUR_FLOOR = object_of(mindur=CODES, maxdur=CODES, bidfloor=SCALAR)
PLAYED = object_of(
    mimes=array(SCALAR), minduration=CODES, maxduration=CODES, maxextended=CODES, rqddurs=array(CODES),
    protocols=array(CODES), w=CODES, h=CODES, linearity=CODES, placement=CODES, plcmt=CODES, battr=array(CODES),
    api=array(CODES), delivery=array(CODES),
)  # fmt: skip
SOLD = object_of(
    protocol=st.one_of(CODES, array(CODES)), skip=FLAGS, boxingallowed=FLAGS, skipmin=CODES, skipafter=CODES,
    minbitrate=CODES, maxbitrate=CODES, podid=SCALAR, poddur=CODES, maxseq=CODES, poddedupe=array(CODES),
    mincpmpersec=SCALAR, durfloors=array(DUR_FLOOR), mimes=array(STRINGS), playbackmethod=array(CODES),
)  # fmt: skip
MEDIA = st.one_of(PLAYED, SOLD)
ASSET = object_of(
    id=CODES, required=FLAGS, title=object_of(len=CODES), data=object_of(type=CODES, len=CODES),
    img=object_of(type=CODES, w=CODES, h=CODES, wmin=CODES, hmin=CODES, mimes=array(STRINGS)),
)  # fmt: skip
VERSIONS = st.one_of(st.sampled_from(['"1.0"', '"1"', "1.1", '"1.1"', '"1.2"', '"2"', "1", '"1.10"']), STRINGS)
TRACKERS = array(object_of(event=CODES, methods=array(CODES)))
WANTED = object_of(
    ver=VERSIONS, assets=array(ASSET), native=object_of(assets=array(ASSET), ver=VERSIONS, eventtrackers=TRACKERS),
    eventtrackers=TRACKERS, plcmttype=CODES,
)  # fmt: skip
TEXT_OF_IT = st.tuples(BLANKS, WANTED, BLANKS).map("".join)
NATIVE = object_of(
    request=st.one_of(
        WANTED, TEXT_OF_IT.map(json.dumps), TEXT_OF_IT.map(lambda s: json.dumps(s, ensure_ascii=False)),
        WANTED.map(lambda s: json.dumps(s[:-1])),
    ), ver=VERSIONS, battr=array(CODES), api=array(CODES),
)  # fmt: skip
IMP = object_of(
    id=IDS, banner=BANNER, video=MEDIA, audio=MEDIA, native=NATIVE, pmp=PMP, secure=FLAGS, instl=FLAGS, bidfloor=SCALAR,
    bidfloorcur=STRINGS, ext=ODD,
)  # fmt: skip
PLACE = object_of(
    domain=STRINGS, page=STRINGS, bundle=STRINGS, publisher=object_of(id=SCALAR, name=STRINGS), cat=array(STRINGS),
    sectioncat=array(STRINGS), pagecat=array(STRINGS), cattax=CODES, content=ODD,
)  # fmt: skip
GEO = object_of(
    country=STRINGS, region=SCALAR, city=STRINGS, metro=SCALAR, zip=SCALAR, lat=ANGLES, lon=ANGLES, type=NUMBERS
)
DEVICE = object_of(
    os=STRINGS, osv=SCALAR, make=STRINGS, model=STRINGS, carrier=STRINGS, language=STRINGS, devicetype=CODES,
    connectiontype=CODES, ifa=STRINGS, lmt=FLAGS, dnt=FLAGS, geo=GEO, ua=STRINGS, ext=object_of(atts=CODES, x=ODD),
)  # fmt: skip
USER = object_of(
    id=SCALAR, buyeruid=SCALAR, gender=GENDERS, yob=CODES, consent=CONSENT, eids=array(object_of(source=STRINGS)),
    data=array(object_of(id=STRINGS, segment=array(object_of(id=SCALAR, value=STRINGS)))),
    ext=object_of(consent=CONSENT, eids=array(object_of(source=STRINGS))),
)  # fmt: skip
REGS = object_of(
    coppa=FLAGS, gdpr=FLAGS, us_privacy=US_PRIVACY, gpp=GPP, gpp_sid=array(CODES), gpc=FLAGS,
    ext=object_of(coppa=FLAGS, gdpr=FLAGS, us_privacy=US_PRIVACY, gpp=GPP, gpp_sid=array(CODES), gpc=FLAGS, ext=ODD),
)  # fmt: skip
SECTIONS = {
    "imp": array(IMP), "site": PLACE, "app": PLACE, "dooh": PLACE, "device": DEVICE, "user": USER, "regs": REGS,
}  # fmt: skip
TOP = object_of(
    id=IDS, imp=array(object_of(id=IDS)), site=object_of(domain=STRINGS), app=object_of(bundle=STRINGS), dooh=ODD,
    tmax=CODES, at=CODES, test=FLAGS, cur=array(STRINGS), wseat=array(SCALAR), bseat=array(SCALAR),
    bcat=array(STRINGS), badv=array(STRINGS), bapp=array(STRINGS), acat=array(STRINGS), wlang=array(SCALAR),
    wlangb=array(STRINGS), cattax=CODES, source=ODD, ext=ODD,
)  # fmt: skip
ANY_JSON = st.recursive(
    ODD, lambda inner: st.one_of(array(inner), st.lists(st.tuples(STRINGS, inner), max_size=3).map(
        lambda pairs: "{" + ",".join(f"{k}:{v}" for k, v in pairs) + "}"
    )), max_leaves=12,
)  # fmt: skip


def without_raw(view: dict[str, Any]) -> dict[str, Any]:
    imps = [{key: value for key, value in imp.items() if key != "id_raw"} for imp in view["imps"]]
    return {key: value for key, value in view.items() if key != "id_raw"} | {"imps": imps}


def assert_same(reader: Reader, body: bytes) -> None:
    code, expected = reference.read(body, US)
    assert reader.parse(body) == code
    if expected is not None:
        seen = without_raw(reader.view())
        for angle in ("lat", "lon"):
            assert seen.pop(angle) == pytest.approx(expected.pop(angle), rel=1e-15, abs=1e-60)
        assert seen == expected


US = Consent(vendor_id=30)
READER = Reader(US)  # one for all: nothing of a request may show in the next


def test_the_corpus_reads_as_the_reference_reads_it() -> None:
    if not CORPUS.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    for body in filter(None, CORPUS.read_bytes().split(b"\n")):
        assert_same(READER, body)


@settings(max_examples=150, deadline=None)
@given(TOP)
def test_an_odd_request_reads_as_the_reference_reads_it(body: str) -> None:
    assert_same(READER, body.encode())


@pytest.mark.parametrize("section", SECTIONS)
def test_an_odd_part_of_a_request_reads_as_the_reference_reads_it(section: str) -> None:
    @settings(max_examples=100, deadline=None)
    @given(SECTIONS[section], st.sampled_from(["{}", '{"gdpr":1}', '{"coppa":1}', '{"us_privacy":"1YYN"}']))
    def check(value: str, regs: str) -> None:
        assert_same(READER, f'{{"id":"r","imp":[{{"id":"1"}}],"regs":{regs},"{section}":{value}}}'.encode())

    check()


@settings(max_examples=150, deadline=None)
@given(ANY_JSON, BLANKS)
def test_any_json_is_accepted_as_the_reference_accepts_it(value: str, blank: str) -> None:
    assert_same(READER, f'{blank}{{"x"{blank}:{value}{blank}}}{blank}'.encode())
    assert_same(READER, value.encode())


@settings(max_examples=250, deadline=None)
@given(st.one_of(TOP, IMP), st.data())
@example('{"id":"1","imp":[{"id":"2"}]}', None)
def test_a_damaged_request_is_accepted_as_the_reference_accepts_it(body: str, data: Any) -> None:
    raw = bytearray(body.encode())
    if data is not None:
        at = data.draw(st.integers(0, len(raw)))
        damage = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b",", b'"', b"\\", b"}", b"0", b"NaN", b"\x00"]))
        )
        raw[at : at + data.draw(st.integers(0, 3))] = damage
    assert_same(READER, bytes(raw))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.text(alphabet='{}[]",:\\u019aeE.+-tfn \x00é', max_size=30).map(str.encode)))
def test_arbitrary_bytes_are_accepted_as_the_reference_accepts_them(body: bytes) -> None:
    assert_same(READER, body)
    assert_same(READER, b'{"a":"' + body + b'"}')
    assert_same(READER, b'{"a":' + body + b"}")
