"""Predicates in words: what a campaign wanted, and what the request had instead.

    the step at which a campaign fell + what both sides say -> `country: USA not in include [CAN]`

A reason that nobody has written words for is told by its name: new rules of creatives need nothing here.
Prices: nano-USD for one impression, shown as CPM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bidder._fast.explain import EXAMINED, FIRST_FILTER
from bidder.campaigns.dimension import Dimension
from bidder.explain.creatives import of_creative
from bidder.money.units import NANO_PER_CPM, usd_text
from bidder.openrtb.codes import region_code
from bidder.outcome import Reason

SHOWN = 8  # values of a list
FILTERS = ("osv", "radius", "hour_of_week", "age", "segment")  # by their bits in CampaignRec.extra
FIELDS = {
    Reason.TARGETING: "multipliers",
    Reason.CAMPAIGN_OFF: "switch",
    Reason.PACED: "pacing",
    Reason.PURSE_EMPTY: "budget",
}  # of a campaign that was examined; of the others the name of the reason


@dataclass(frozen=True, slots=True)
class Aims:
    """What a campaign includes and excludes in one dimension: some of it, and how much there is."""

    included: list[str]
    excluded: list[str]
    hit: list[str]  # excluded values that the request has
    counts: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Case:
    """One campaign at one imp; `facts`, `filters` and the views as `bidder._fast.explain` gives them."""

    request: dict[str, Any]
    imp: dict[str, Any]
    exchange: str
    seat: str
    now_s: int
    secure_notices: bool  # do our notice URLs begin with https?
    facts: dict[str, Any]
    filters: dict[str, Any]
    aims: Aims | None


def field_of(reason: Reason, step: int) -> str:
    """What is looked at where campaigns fall for this reason at this step."""
    if step < FIRST_FILTER:
        return Dimension(step).name.lower()
    if step < EXAMINED:
        return FILTERS[step - FIRST_FILTER]
    return FIELDS.get(reason, reason.name.lower())


def predicate(reason: Reason, step: int, case: Case) -> str:
    """The first that failed, in one line."""
    if step < FIRST_FILTER:
        return _of_dimension(Dimension(step), case)
    if step < EXAMINED:
        return _of_filter(FILTERS[step - FIRST_FILTER], case)
    return _of_auction(reason, case)


def cpm(nano: int) -> str:
    """`2.40`: a price per thousand with two decimals at least."""
    whole, rest = divmod(nano, NANO_PER_CPM)
    digits = f"{rest:06d}".rstrip("0")
    return f"{whole}.{digits:0<2}"


def listed(values: Sequence[object], count: int | None = None) -> str:
    """`[a, b, +3]`"""
    count = len(values) if count is None else count
    some = [str(value) for value in values[:SHOWN]]
    return f"[{', '.join(some + ([f'+{count - len(some)}'] if count > len(some) else []))}]"


def _instant(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- targeting


def _had(dimension: Dimension, case: Case) -> list[Any]:
    """What the request, or the imp, has there."""
    request, imp = case.request, case.imp
    match dimension:
        case Dimension.EXCHANGE:
            return [case.exchange]
        case Dimension.REGION:
            return [region_code(request["country"], request["region"]) or request["region"]]
        case Dimension.DEVICE_TYPE:
            return [request["device_type"] or None]
        case Dimension.CONNECTION_TYPE:
            return [None if request["connection_type"] < 0 else request["connection_type"]]
        case Dimension.SEGMENT:
            return list(request["segments"])
        case Dimension.VENUE_TYPE:
            return list(request["venue_type"])
        case Dimension.CAT:
            return list(request["cat"]) if request["cattax"] <= 1 else []
        case Dimension.DEAL:
            return [deal["id"] for deal in imp["deals"]]
        case Dimension.FORMAT:
            return list(imp["media"])
        case Dimension.SIZE:
            return [f"{w}x{h}" for w, h in imp["sizes"]]
        case _:
            return [request[dimension.name.lower()]]


def _of_dimension(dimension: Dimension, case: Case) -> str:
    name, aims = dimension.name.lower(), case.aims
    if dimension is Dimension.SECURE:
        return "secure: 1, and no creative is secure" + _insecure(case)
    if dimension is Dimension.USER_ID:
        forbidden = bool(aims and aims.hit)
        return f"user_id: {'forbidden, and there is one' if forbidden else 'required, and none may be used'}"
    had = [value for value in _had(dimension, case) if value is not None]
    shown = "absent" if not had else str(had[0]) if len(had) == 1 else listed(had)
    if aims is None:
        return f"{name}: {shown}"
    if aims.hit:
        return f"{name}: {aims.hit[0]} is in exclude {listed(aims.excluded, aims.counts[1])}"
    wanted = listed(aims.included, aims.counts[0])
    if dimension in (Dimension.FORMAT, Dimension.SIZE):
        return f"{name}: {shown} not among those of the creatives {wanted}"
    return f"{name}: {shown} not in include {wanted}"


def _of_filter(name: str, case: Case) -> str:
    request, rule = case.request, case.filters[name]
    match name:
        case "hour_of_week":
            return f"hour_of_week: {rule['now']} ({rule['zone']}) not in {listed(_runs(rule['hours']))}"
        case "age":
            wanted = f"{rule['min']} to {rule['max']}" if rule["max"] < 999 else f"{rule['min']} or more"
            return f"age: {rule['year'] - request['yob'] if request['yob'] else 'unknown'} not {wanted}"
        case "osv":
            return f"osv: {request['osv'] or 'absent'} not {_version(rule['min'])} to {_version(rule['max'])}"
        case "radius":
            point = f"{request['lat']:g},{request['lon']:g}" if request["has_point"] else "no point"
            return f"radius: {point} not within {listed([f'{km:g} km of {lat:g},{lon:g}' for lat, lon, km in rule])}"
    return f"segment: {listed(rule['missing'])} of all missing"


def _version(parts: list[int]) -> str:
    if parts[0] == 2**32 - 1:
        return "any"
    while len(parts) > 1 and parts[-1] == 0:
        parts = parts[:-1]
    return ".".join(map(str, parts))


def _runs(numbers: list[int]) -> list[str]:
    """`1-3`, `7`: what follows each other, together."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


# --- the auction


def _of_auction(reason: Reason, case: Case) -> str:
    facts, purse = case.facts, case.facts["purse"]
    match reason:
        case Reason.TARGETING:
            return "multipliers: one of 0 applies, so it wants no such request"
        case Reason.FLIGHT:
            start, end = facts["flight"]
            return f"flight: begins {_instant(start)}" if case.now_s < start else f"flight: ended {_instant(end)}"
        case Reason.CAMPAIGN_OFF:
            return "switch: this campaign is off"
        case Reason.PACED:
            return f"pacing: throttled to {purse['throttle'] / 2**32:.1%} of requests, and this is none of them"
        case Reason.PURSE_EMPTY:
            if purse is None or not purse["lease"]:
                return "budget: this host has no lease on it now"
            return f"budget: {usd_text(purse['left'])} USD left of the lease, {usd_text(purse['wanted'])} wanted"
        case Reason.USER:
            return "frequency: nothing is known of the user here yet, and users.first_touch says not to bid then"
        case Reason.FREQUENCY:
            caps = [f"{n} per {s} s" for n, s, _ in facts["frequency"]]
            return f"frequency: {listed(caps)} {'used up' if case.request['user'] else 'and no user to count by'}"
        case Reason.FLOOR | Reason.FLOOR_CURRENCY:
            return _floor(reason, case)
        case Reason.DEAL:
            return _deal(case)
    for creative in facts["creatives"]:
        if creative["reason"] == reason:
            return of_creative(reason, creative, case.request, case.imp, case.exchange) + (
                _insecure(case) if reason is Reason.SECURE else ""
            )
    return reason.name.lower()


def _insecure(case: Case) -> str:
    return "" if case.secure_notices else " (tracking.public_url is not https)"


def _way(reason: Reason, case: Case) -> dict[str, Any] | None:
    """The deal through which it failed so; None: open."""
    for number, why in case.facts["ways"]:
        if why == reason and number is not None:
            deal: dict[str, Any] = case.imp["deals"][number]
            return deal
    return None


def _floor(reason: Reason, case: Case) -> str:
    deal = _way(reason, case)
    own = deal if deal is not None and deal["floor"] > 0 else case.imp
    name = f"floor of deal {deal['id']}" if own is deal and deal is not None else "floor"
    currency = own["floor_currency"] or "USD"
    if reason is Reason.FLOOR_CURRENCY:
        return f"{name}: {cpm(own['floor'])} {currency}, and there is no rate"
    price = case.facts["full" if deal is not None and deal["guaranteed"] else "paced"]
    if own["floor"] <= price:
        return f"{name}: {cpm(price)} USD is less than an ad of its length costs here"
    ours = cpm(price) if currency == "USD" else f"{cpm(price)} USD"
    return f"{name}: {ours} < {cpm(own['floor'])} {currency}"


def _deal(case: Case) -> str:
    deal = _way(Reason.DEAL, case)
    if deal is None:
        return "private_auction: 1, and it includes no deal"
    if deal["wseat"] and case.seat not in deal["wseat"]:
        return f"deal {deal['id']}: wseat {listed(deal['wseat'])} lacks {case.seat}"
    domains = sorted({name for creative in case.facts["creatives"] for name in creative["adomain"]})
    return f"deal {deal['id']}: wadomain {listed(deal['wadomain'])} has none of {listed(domains)}"
