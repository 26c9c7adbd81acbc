"""What stops a creative at an imp, in words: the field of the request and the value of the creative that met there."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bidder.openrtb.codes import FORMATS
from bidder.outcome import Reason

Facts = dict[str, Any]  # of the creative
View = dict[str, Any]  # of the request, or the imp


def of_creative(reason: Reason, creative: Facts, request: View, imp: View, exchange: str) -> str:
    """One line; of a reason that has no words of its own, its name."""
    words = WORDS.get(reason)
    if words is not None:
        return words(creative, request, imp, exchange)
    return f"{reason.name.lower()}: the {_name(creative)} may not serve here"


def _medium(creative: Facts, imp: View) -> View:
    """What the imp says of the creative's format."""
    name = FORMATS.get(creative["format"], "banner")
    return imp if name == "banner" else imp.get(name) or {}


def _asks(*fields: str) -> Callable[[Facts, View, View, str], str]:
    """Words for a rule of players: what the imp says in these fields, as far as it says anything."""

    def words(creative: Facts, request: View, imp: View, exchange: str) -> str:
        medium = _medium(creative, imp)
        said = [f"{field} {_said(medium[field])}" for field in fields if medium.get(field) not in (None, 0, [], "")]
        return f"{fields[0]}: the {_name(creative)} does not fit {', '.join(said) or 'what the imp leaves out'}"

    return words


def _said(value: object) -> str:
    return _list(value) if isinstance(value, list) else str(value)


def _name(creative: Facts) -> str:
    size = f"{creative['w']}x{creative['h']} " if creative["w"] else ""
    return f"{size}{FORMATS.get(creative['format'], 'creative')}"


def _list(values: Iterable[object]) -> str:
    return f"[{', '.join(map(str, values))}]"


def _covered(entries: Sequence[str], value: str, mark: str) -> str | None:
    """The entry that is equal to the value or above it, without case: `IAB25` of `IAB25-3`."""
    return next((e for e in entries if f"{value}{mark}".lower().startswith(f"{e}{mark}".lower())), None)


def _format(creative: Facts, request: View, imp: View, exchange: str) -> str:
    return f"format: {FORMATS.get(creative['format'], creative['format'])} not in {_list(imp['media'])}"


def _size(creative: Facts, request: View, imp: View, exchange: str) -> str:
    size = f"{creative['w']}x{creative['h']}"
    medium = _medium(creative, imp)
    if medium is not imp:
        return f"size: {size} where the player has {medium.get('w')}x{medium.get('h')}"
    if imp["sizes"] or imp["ratios"]:
        ratios = [f"{w}:{h}" + (f" from {wmin} on" if wmin else "") for w, h, wmin in imp["ratios"]]
        return f"size: {size} not in {_list([*(f'{w}x{h}' for w, h in imp['sizes']), *ratios])}"
    bounds = [f"{key} {imp[key]}" for key in ("wmin", "wmax", "hmin", "hmax") if imp[key]]
    return f"size: {size} not within {_list(bounds)}"


def _battr(creative: Facts, request: View, imp: View, exchange: str) -> str:
    return f"battr: {_list(sorted(set(creative['attr']) & set(_medium(creative, imp).get('battr', []))))} is blocked"


def _btype(creative: Facts, request: View, imp: View, exchange: str) -> str:
    return f"btype: {_list(imp['btype'])} are blocked, and its markup is of one of them"


def _api(creative: Facts, request: View, imp: View, exchange: str) -> str:
    there = _medium(creative, imp).get("api", [])
    return f"api: {_list(sorted(set(creative['api']) - set(there)))} not in {_list(there)}"


def _secure(creative: Facts, request: View, imp: View, exchange: str) -> str:
    return "secure: 1, and the creative is not"


def _approval(creative: Facts, request: View, imp: View, exchange: str) -> str:
    return f"approval: {exchange} has not approved the {_name(creative)}"


def _bapp(creative: Facts, request: View, imp: View, exchange: str) -> str:
    return f"bapp: {creative['bundle']} is blocked"


def _badv(creative: Facts, request: View, imp: View, exchange: str) -> str:
    for domain in creative["adomain"]:
        entry = _covered([e[::-1] for e in request["badv"]], domain[::-1], ".")
        if entry is not None:
            return f"badv: {domain} is blocked" + ("" if entry[::-1].lower() == domain else f" by {entry[::-1]}")
    return "badv: advertisers are blocked, and the creative names no adomain"


def _bcat(creative: Facts, request: View, imp: View, exchange: str) -> str:
    for cat in creative["cat"]:
        entry = _covered(request["bcat"], cat, "-")
        if entry is not None:
            return f"bcat: {cat} is blocked" + ("" if entry.lower() == cat.lower() else f" by {entry}")
    wrong = [cat for cat in creative["cat"] if _covered(request["acat"], cat, "-") is None]
    return f"acat: {_list(wrong) if wrong else 'a creative without cat'} not in {_list(request['acat'])}"


def _language(creative: Facts, request: View, imp: View, exchange: str) -> str:
    first, second = divmod(creative["language"] - 1, 26)
    ours = chr(97 + first) + chr(97 + second)
    for key in ("wlang", "wlangb"):
        if request[key] and ours not in [name.lower()[:2] for name in request[key] if name[2:3] in ("", "-")]:
            return f"{key}: {ours} not in {_list(request[key])}"
    return f"wlang: {ours}"


WORDS: dict[Reason, Callable[[Facts, View, View, str], str]] = {
    Reason.FORMAT: _format,
    Reason.SIZE: _size,
    Reason.BATTR: _battr,
    Reason.BTYPE: _btype,
    Reason.API: _api,
    Reason.SECURE: _secure,
    Reason.APPROVAL: _approval,
    Reason.BAPP: _bapp,
    Reason.BADV: _badv,
    Reason.BCAT: _bcat,
    Reason.LANGUAGE: _language,
    Reason.LINEARITY: _asks("linearity"),
    Reason.PLACEMENT: _asks("plcmt", "placement"),
    Reason.MIME: _asks("mimes"),
    Reason.PROTOCOL: _asks("protocols"),
    Reason.DELIVERY: _asks("delivery"),
    Reason.BITRATE: _asks("minbitrate", "maxbitrate"),
    Reason.DURATION: _asks("minduration", "maxduration", "rqddurs", "poddur"),
    Reason.SKIP: _asks("skip", "skipmin", "skipafter"),
    Reason.EXPDIR: _asks("expdir"),
}
