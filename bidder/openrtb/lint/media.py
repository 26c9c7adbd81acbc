"""Video and audio: what VAST says against what the imp plays. D12, D13.

playable(vast, slot, path, ...) serves native video too: its slot is the asset's `video`
"""

from collections.abc import Iterator
from decimal import Decimal

from bidder.openrtb.lint.case import Case
from bidder.openrtb.lint.loose import Json, codes, flag, number, tables, texts
from bidder.openrtb.lint.rules import Violation, broken, said
from bidder.openrtb.lint.urls import is_absolute
from bidder.openrtb.lint.vast import Media, Vast

LINEAR, NON_LINEAR = 1, 2
SKIPPABLE = 16  # of attr
UNLIMITED = -1  # maxextended
DELIVERY = {"streaming": 1, "progressive": 2}
NEEDS = {"VPAID": {1, 2}, "SIMID": {8, 9}}  # codes of api
SECOND = Decimal(1)
HALF_SECOND = Decimal("0.5")


def violations(case: Case) -> Iterator[Violation]:
    """Of a bid for video or audio, with VAST or with a notice that brings it."""
    slot, vast = case.slot, case.vast
    protocols = _protocols(slot)
    if (declared := case.bid.get("protocol")) is not None:
        if protocols and declared not in protocols:
            yield broken("protocol", case.at("protocol"), f"{said(declared)} where {said(protocols)} are offered")
        elif vast is not None and declared not in vast.protocols:
            yield broken("protocol", case.at("protocol"), f"{said(declared)} and the markup is {said(vast.protocols)}")
    if vast is not None:
        yield from playable(vast, slot, case.at("adm"))
        yield from _against_bid(case, vast)
    elif "dur" in case.bid:
        yield from _durations([Decimal(min(max(case.bid["dur"], 0), 10**9))], slot, case.at("dur"))


def playable(vast: Vast, slot: Json, path: str) -> Iterator[Violation]:
    """What does not depend on the rest of the bid."""
    protocols = _protocols(slot)
    if protocols and (unknown := vast.protocols - protocols):
        yield broken("vast_version", path, f"{said(unknown)} where {said(protocols)} are offered")
    for element, url in vast.urls:
        if url and not is_absolute(url):
            yield broken("vast_url", path, f"{element}: {said(url)}")
    if vast.missing:
        yield broken("vast_fields", path, f"no {', '.join(dict.fromkeys(vast.missing))}")
    if vast.ads > max(1, int(number(slot.get("maxseq")))):
        yield broken("vast_pod", path, f"{vast.ads} ads")
    yield from _durations(vast.durations_s, slot, path)
    for files in vast.media:
        yield from _files(files, slot, path)
    apis = codes(slot.get("api"))
    for framework in vast.scripts & NEEDS.keys():
        if not apis & NEEDS[framework]:
            yield broken("vpaid", path, f"{framework} without api")
    linearity = number(slot.get("linearity"))
    if (linearity == LINEAR and vast.nonlinear and not vast.linear) or (linearity == NON_LINEAR and vast.linear):
        yield broken("linearity", path, f"linearity {said(linearity)}")


def _protocols(slot: Json) -> set[int]:
    return codes(slot.get("protocols")) | codes(slot.get("protocol"))  # the single one is that of OpenRTB 2.2


def _against_bid(case: Case, vast: Vast) -> Iterator[Violation]:
    slot, bid = case.slot, case.bid
    total_s = sum(vast.durations_s, Decimal(0))
    if "dur" in bid and vast.durations_s and abs(total_s - min(bid["dur"], 10**9)) >= SECOND:
        yield broken("dur_differs", case.at("dur"), f"{said(bid['dur'])} s where the markup has {said(total_s)} s")
    declared = SKIPPABLE in bid.get("attr", [])
    if vast.skippable or declared:
        shortest_s = number(slot.get("skipmin")) if flag(slot.get("skip")) else Decimal(0)
        if slot.get("skip") is not None and not flag(slot["skip"]):
            yield broken("skip", case.at("adm"), "it can be skipped")
        elif 0 < total_s <= shortest_s:
            yield broken("skip", case.at("adm"), f"it can be skipped, with {said(total_s)} s")
    if vast.skippable and not declared:
        yield broken("skip_attr", case.at("attr"), "no 16")
    sizes = {(file.w, file.h) for files in vast.media for file in files}
    if case.medium == "video" and "w" in bid and "h" in bid and sizes and (bid["w"], bid["h"]) not in sizes:
        yield broken("media_size", case.at("w"), f"{said(bid['w'])}x{said(bid['h'])} is no media file's")
    offered = {_size(one) for ad in tables(slot.get("companionad")) for one in [ad, *tables(ad.get("format"))]}
    if offered and (others := [size for size in vast.companions if size not in offered]):
        yield broken("companion", case.at("adm"), f"{said(others[0])} is not offered")


def _size(holder: Json) -> tuple[int, int]:
    return int(number(holder.get("w"))), int(number(holder.get("h")))


def _durations(durations_s: list[Decimal], slot: Json, path: str) -> Iterator[Violation]:
    exact, longest_pod = codes(slot.get("rqddurs")), number(slot.get("poddur"))
    least, most, extended = (number(slot.get(name)) for name in ("minduration", "maxduration", "maxextended"))
    for duration in durations_s:
        if exact:
            fits = any(abs(duration - one) < HALF_SECOND for one in exact)
        else:
            fits = duration >= least and (
                most <= 0 or extended == UNLIMITED or duration < most + max(extended, Decimal(0)) + HALF_SECOND
            )
        if not fits:
            wanted = said(exact) if exact else f"{said(least)} to {said(most)} s"
            yield broken("duration", path, f"{said(duration)} s where {wanted} are wanted")
            return
    if longest_pod > 0 and sum(durations_s, Decimal(0)) >= longest_pod + SECOND:
        yield broken("duration", path, f"longer than the pod of {said(longest_pod)} s")


def _files(files: list[Media], slot: Json, path: str) -> Iterator[Violation]:
    """One linear creative: a player takes the file that suits it."""
    mimes = {mime.lower() for mime in texts(slot.get("mimes"))}
    offered = [file for file in files if file.mime in mimes] if mimes else files
    if not offered:
        yield broken("media_mime", path, f"{said({file.mime for file in files})} where {said(mimes)} are offered")
        return
    apis = codes(slot.get("api"))
    running = [file for file in offered if file.framework not in NEEDS or apis & NEEDS[file.framework]]
    if not running:
        yield broken("vpaid", path, f"{said({file.framework for file in offered})} without api")
        return
    least, most = number(slot.get("minbitrate")), number(slot.get("maxbitrate"))
    if not any(file.kbps is None or _within(file.kbps, least, most) for file in running):
        yield broken("media_bitrate", path, f"none of {said(least)} to {said(most)} kbit/s")
    ways = codes(slot.get("delivery"))
    if ways and not any(DELIVERY.get(file.delivery) in ways or not file.delivery for file in running):
        yield broken("delivery", path, f"none in {said(ways)}")


def _within(kbps: tuple[int, int], least: Decimal, most: Decimal) -> bool:
    return kbps[1] >= least and (most <= 0 or kbps[0] <= most)
