"""The reader looks at 16 bytes at once: every length and place where it could be wrong by one, beside the slow one."""

import json

import pytest

from bidder._fast.request import Reader
from tests.property.test_request_reader import READER, assert_same

MALFORMED = 1
LENGTHS = range(67)  # to behind the fourth vector
STARTS = range(16)  # where a vector may begin in what it looks for


def body_of(members: str, start: int = 0) -> bytes:
    """A request with these members, `start` bytes later than without."""
    return f'{{"x":"{"-" * start}","id":"r","imp":[{{"id":"1"}}],{members}}}'.encode()


def malformed(body: bytes) -> bool:
    return READER.parse(body) == MALFORMED


@pytest.mark.parametrize("start", STARTS)
def test_a_string_of_any_length_ends_where_it_ends(start: int) -> None:
    for n in LENGTHS:
        assert_same(READER, body_of(f'"device":{{"os":"{"o" * n}","ua":"{"u" * n}","make":"m"}}', start))
        assert_same(READER, body_of(f'"bcat":["{"a" * n}","{"b" * n}",7,"c"],"y":["{"a" * n}","{"b" * n}"]', start))


@pytest.mark.parametrize("start", STARTS)
def test_a_key_of_any_length_is_told_from_those_that_are_known(start: int) -> None:
    for n in LENGTHS:
        unknown = ("connectiontype" + "k" * n)[:n]
        assert_same(READER, body_of(f'"device":{{"{unknown}x":"1","{unknown}":2,"os":"o"}}', start))
        assert_same(READER, body_of(f'"y":{{"{unknown}x":"1","{unknown}":[]}},"device":{{"os":"o"}}', start))


def test_a_key_that_differs_in_one_byte_is_another() -> None:
    for key in ("os", "model", "language", "devicetype", "connectiontype"):
        for at in range(len(key)):
            other = key[:at] + chr(ord(key[at]) ^ 1) + key[at + 1 :]
            assert_same(READER, body_of(f'"device":{{"{other}":3}}'))
        for other in (key[:-1], key + "x", key + "\\u0000", "\\u0000" + key, key + '\\"', key + "é"):
            assert_same(READER, body_of(f'"device":{{"{other}":3}}'))
    for private in ("\\u0001", "\\u0008"):  # what the reader itself calls long keys and the end of an object
        assert_same(READER, body_of(f'"device":{{"{private}":3,"os":"o"}},"{private}":4'))


@pytest.mark.parametrize(
    "long", ["minduration", "maxduration", "mincpmpersec", "boxingallowed", "poddedupe", "rqddurs"]
)
def test_a_key_that_few_objects_have_is_told_from_those_beside_it(long: str) -> None:
    value = "[7]" if long in ("poddedupe", "rqddurs") else "0"
    for key in (long, long[:-1], long + "x", long[:-1] + "x", "x" + long[1:], f"\\u{ord(long[0]):04x}{long[1:]}"):
        for blank in ("", " "):
            body = f'{{"id":"r","imp":[{{"id":"1","video":{{"{key}"{blank}:{blank}{value},"w":3}}}}]}}'
            assert_same(READER, body.encode())


@pytest.mark.parametrize("escape", ['\\"', "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00"])
def test_strings_without_their_escapes_have_room_at_both_depths_of_a_native_request(escape: str) -> None:
    """A body that is nearly all one string, which is nearly all strings, of which each has an escape."""
    reader = Reader()  # whose memory was never larger
    for n in (0, 1, 7, 60, 400):
        mimes = ",".join([f'"{escape}{"m" * n}"'] * 40)
        wanted = f'{{"assets":[{{"id":1,"img":{{"mimes":[{mimes}]}}}}]}}'
        imps = ",".join(f'{{"id":"{i}","native":{{"request":{json.dumps(wanted)}}}}}' for i in range(3))
        assert_same(reader, f'{{"id":"r","imp":[{imps}]}}'.encode())


@pytest.mark.parametrize("depth", [60, 63, 64, 65, 66])
def test_a_native_request_in_a_string_has_a_depth_of_its_own(depth: int) -> None:
    for wanted in ("[" * depth + "]" * depth, '{"x":' + "[" * depth + "]" * depth + ',"assets":[{"id":1}]}'):
        body = f'{{"id":"r","imp":[{{"id":"1","native":{{"request":{json.dumps(wanted)}}}}}]}}'
        assert_same(READER, body.encode())


@pytest.mark.parametrize(
    "text", ["", " ", "{", "{}", " {} ", "{}x", "[]", "7", "null", '{"assets":[]}', "{}\u0000", "\ufeff{}"]
)
def test_what_is_no_native_request_is_none(text: str) -> None:
    assert_same(READER, f'{{"id":"r","imp":[{{"id":"1","native":{{"request":{json.dumps(text)}}}}}]}}'.encode())


@pytest.mark.parametrize(
    "inside", ["\\n", '\\"', "\\\\", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "é", "€", "\U0001f600"]
)
def test_an_escape_or_a_letter_beyond_ascii_may_stand_at_any_place(inside: str) -> None:
    for before in LENGTHS:
        for after in (0, 1, 15, 16, 17):
            text = "a" * before + inside + "b" * after
            assert_same(
                READER, body_of(f'"device":{{"os":"{text}","ua":"{text}"}},"{text}":1,"y":{{"{text}":"{text}"}}')
            )


@pytest.mark.parametrize("wrong", ["\n", "\x00", "\x1f", "\\x", "\\", "\\u12g4", "\\u"])
def test_what_no_string_may_hold_is_found_at_any_place(wrong: str) -> None:
    for before in LENGTHS:
        text = "a" * before + wrong + "g"
        assert malformed(body_of(f'"device":{{"os":"{text}"}}'))
        assert malformed(body_of(f'"y":"{text}"'))
        assert malformed(body_of(f'"y":["{text}"]'))
        assert malformed(body_of(f'"{text}":1'))
        assert malformed(body_of(f'"y":{{"{text}":1}}'))


@pytest.mark.parametrize("wrong", [b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff"])
def test_what_is_not_utf8_is_found_at_any_place(wrong: bytes) -> None:
    for before in LENGTHS:
        assert malformed(body_of('"y":"' + "a" * before + "!" + '"').replace(b"!", wrong))
        assert malformed(body_of('"y":"é' + "a" * before + "!" + '"').replace(b"!", wrong))
        assert malformed(b" " * before + b"{}" + wrong)


def test_a_body_may_end_anywhere_in_a_vector() -> None:
    for n in LENGTHS:
        whole = body_of(f'"y":"{"a" * n}"')
        assert_same(READER, whole)
        assert_same(READER, whole + b" " * n)
        assert malformed(whole[:-1])
        assert malformed(whole[:-2])
        assert malformed(whole[:-3])
        assert malformed(b'{"' + b"a" * n)
        assert malformed(b'{"' + b"a" * n + b'"')
        assert malformed(b'{"' + b"a" * n + b'":')
        assert malformed(b"{" + b" " * n)
        assert malformed(b"1" * n)


@pytest.mark.parametrize("end", ["", " ", ".", ".0", ".5", "e0", "E1", "e", "x", "-", '"', "]", "}", ":"])
def test_a_number_of_any_length_is_read_whatever_is_behind_it(end: str) -> None:
    for digits in (
        "0",
        "00",
        "07",
        "-0",
        "-1",
        "-",
        *(("9876543210" * 3)[:n] for n in range(26)),
    ):
        for text in (digits + end, f"[{digits}{end}]", f"[1,{digits}{end},2]"):
            assert_same(READER, body_of(f'"tmax":{text},"at":{text},"test":{text},"y":{text}'))
            assert_same(READER, body_of(f'"device":{{"connectiontype":{text},"geo":{{"lat":{text},"lon":{text}}}}}'))
            assert_same(READER, f'{{"id":"r","imp":[{{"id":1,"bidfloor":{text},"banner":{{"api":{text}}}}}]}}'.encode())


def test_white_space_may_stand_wherever_the_grammar_lets_it() -> None:
    imps = '{ "id" : "r" , "imp" : [ { "id" : 1 } , { "id" : 2 } ]'
    parts = (imps + ' , "bcat" : [ "a" , "b" ] , "y" : { "z" : [ ] , "k" : { } } }').split(" ")
    for at in range(len(parts) + 1):
        for blank in (" ", "\n", "\t\r", " " * 17):
            assert_same(READER, ("".join(parts[:at]) + blank + "".join(parts[at:])).encode())
            if at < len(parts) and len(parts[at]) > 2:
                assert_same(
                    READER, "".join([*parts[:at], parts[at][:2] + blank + parts[at][2:], *parts[at + 1 :]]).encode()
                )


def test_sixty_four_containers_of_either_kind_may_be_open_at_once() -> None:
    for levels in (1, 2, 62, 63, 64, 65):
        for kinds in ("[", "{", "[{", "{["):
            opened = (kinds * levels)[:levels]
            inner = "".join('{"k":' if kind == "{" else "[" for kind in opened)
            closed = "".join("}" if kind == "{" else "]" for kind in reversed(opened))
            for value in ("1", "[]", "{}"):
                assert_same(Reader(), body_of(f'"y":{inner}{value}{closed}'))
                assert malformed(body_of(f'"y":{inner}{value}{closed[:-1]}'))
                wrong = closed[:-1] + ("]" if closed[-1] == "}" else "}")
                assert malformed(body_of(f'"y":{inner}{value}{wrong}'))


def test_a_value_is_the_same_whether_it_is_looked_at_or_skipped() -> None:
    for value in (
        "tru",
        "true",
        "false",
        "fals",
        "null",
        "nul",
        "nan",
        "1",
        "-",
        "[]",
        "{}",
        "[,]",
        "{,}",
        "[1,]",
        '{"a"}',
        "'a'",
    ):
        for members in (
            f'"y":{value}',
            f'"tmax":{value}',
            f'"device":{value}',
            f'"bcat":{value}',
            f'"cur":{value}',
            f'"y":[{value}]',
        ):
            body = body_of(members)
            try:
                json.loads(body, parse_constant=lambda text: json.loads(f"{text}!"))
            except ValueError:
                assert malformed(body)
            else:
                assert_same(READER, body)
