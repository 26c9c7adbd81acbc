"""Settings of every process: one TOML file, overridden by `OUTBID_<SECTION>_<KEY>`.

Read once at start, frozen, units in names. Unknown sections, keys and values of
the wrong type are refused by name with the place they stand in.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bidder.openrtb.exchanges import DIALECTS, KEYS, Dialect

NOTICES = ("nurl", "burl", "lurl")  # of a bid

OTHER_VARIABLES = {  # command line, builds, tests
    "OUTBID_STATE",
    "OUTBID_BUILD",
    "OUTBID_EXTENSIONS",
    "OUTBID_PROFILE",
    "OUTBID_CORPUS",
}


class SettingsError(ValueError):
    """A setting is unknown, or its value cannot be used; the message says where."""


@dataclass(frozen=True, slots=True)
class Bidder:
    listen: str = "127.0.0.1:8000"
    bus_listen: str = "127.0.0.1:8020"  # XPUB of this host
    metrics_listen: str = "127.0.0.1:8005"  # /metrics of all processes of this host; empty: none
    workers: int = 0  # 0: one a core, but for one core left to the rest
    max_body_bytes: int = 262_144
    wait_budget_ms: int = 20  # what has waited longer, or a quarter of the exchange's tmax, gets no bid
    lint_per_s: float = 1.0  # bids that each worker holds against the linter, at most 20; 0: none
    connections_per_peer: int = 1_024  # of one address, in each worker; 0: any number


@dataclass(frozen=True, slots=True)
class Tracker:
    listen: str = "127.0.0.1:8001"


@dataclass(frozen=True, slots=True)
class Tracking:
    public_url: str = "http://127.0.0.1:8001"  # every notice, pixel and click URL begins with it
    token_ttl_s: int = 259_200  # 72 h: what comes later is for review
    banner_ttl_s: int = 0  # of bids of that format; 0: token_ttl_s. The next three as well
    video_ttl_s: int = 0
    audio_ttl_s: int = 0
    native_ttl_s: int = 0
    click_window_s: int = 2_592_000  # 30 days: so long after its click a conversion counts
    view_window_s: int = 0  # and so long after its bid one that the page's own token tells of; 0: none does

    @property
    def longest_ttl_s(self) -> int:
        """Of any token but the id of a click."""
        return max(self.token_ttl_s, self.banner_ttl_s, self.video_ttl_s, self.audio_ttl_s, self.native_ttl_s)


@dataclass(frozen=True, slots=True)
class Controller:
    listen: str = "127.0.0.1:8002"
    announce_listen: str = "127.0.0.1:8010"  # zmq PUB
    poll_s: float = 0.25  # how often the controller looks for changes


@dataclass(frozen=True, slots=True)
class Monitor:
    listen: str = "127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Postgres:
    dsn: str = ""  # empty: `outbid up` runs its own
    port: int = 8432  # of our own


@dataclass(frozen=True, slots=True)
class Memcached:
    servers: tuple[str, ...] = ()  # host:port; empty: `outbid up` runs its own
    port: int = 8211  # of our own
    memory_mb: int = 64


@dataclass(frozen=True, slots=True)
class Bus:
    hosts: tuple[str, ...] = ()  # bus addresses of all bidder hosts; empty: this host's
    keep_windows: int = 600  # closed windows kept for those who missed them


@dataclass(frozen=True, slots=True)
class Stream:
    """Where notices are kept until they are booked (docs/stream.md)."""

    backend: Literal["spool", "kinesis"] = "spool"
    archive: str = ""  # of the spool: a directory, or s3://bucket/prefix; empty: none
    keep_s: int = 604_800  # what is booked (and archived) stays in the spool so long
    kinesis_stream: str = "outbid"
    region: str = ""  # of Kinesis and S3; empty: as boto3 finds it
    endpoint_url: str = ""  # likewise


@dataclass(frozen=True, slots=True)
class Money:
    take_for_s: int = 3_600  # for which a lease is granted, and renewed; it ends with its budget hour
    settle_for_s: int = 1_800  # then notices still settle it
    release_after_s: int = 600  # a bid without a notice by then gives back what it reserved
    unbudgeted_hour_usd: str = "1000"  # an hour of a campaign without any budget
    sync_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Currency:
    rates: str = ""  # file of exchange rates, in the state directory; empty: USD alone
    max_age_days: int = 4  # older rates are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Dialect):
    """One row of the exchanges that we serve at /bid/{name}: its dialect, and what concerns us and it alone."""

    key: int  # 1..63, never reused: tokens and rollups carry it
    dialect: str = "generic"  # from which all comes that the row does not say
    seat: str = "outbid"
    enabled: bool = True
    price_keys: str = ""  # file of the keys of encrypted prices, in the state directory
    secret_file: str = ""  # whose one line a request must carry, in the state directory; empty: none is asked for
    secret_header: str = ""  # in this field; empty: behind the name, /bid/NAME/SECRET
    allow: tuple[str, ...] = ()  # networks that it sends from; empty: any
    rate_per_s: int = 0  # requests that this host reads; 0: any number
    match_url: str = ""  # where /match sends a browser that asks for our id, with {uid} in it; empty: nowhere


def _spoken(row: Exchange, dialect: str) -> Exchange:
    """The row in another dialect."""
    return replace(row, dialect=dialect, **{f.name: getattr(DIALECTS[dialect], f.name) for f in fields(Dialect)})


SHIPPED_EXCHANGES: dict[str, Exchange] = {name: _spoken(Exchange(key=key), name) for name, key in KEYS.items()}


@dataclass(frozen=True, slots=True)
class Consent:
    """Who we are where people consent to vendors: as the Global Vendor List has us (docs/consent.md)."""

    vendor_id: int = 0  # 0: not on the list; under GDPR then nothing of a person is used
    consent_purposes: tuple[int, ...] = (1, 3, 4)  # declared on consent
    interest_purposes: tuple[int, ...] = (2, 7, 9, 10)  # on legitimate interest
    flexible_purposes: tuple[int, ...] = ()  # of both: a publisher may ask for the other basis
    precise_geo: bool = True  # special feature 1 is declared
    contextual: bool = True  # without a legal basis for purpose 2, bid without a person; else not at all


@dataclass(frozen=True, slots=True)
class Users:
    """What is known of persons, under keyed hashes and for a time (docs/users.md)."""

    first_touch: Literal["bid", "no-bid"] = "bid"  # campaigns with caps, for a user that this host does not know yet
    banner_hold_s: int = 300  # that a bid counts under its caps without an impression
    video_hold_s: int = 1_800
    audio_hold_s: int = 1_800
    native_hold_s: int = 600
    fresh_s: int = 30  # then the store is asked again, behind the next request
    good_s: int = 3_600  # what we know of a user serves so long without an answer of the store
    store_timeout_ms: int = 200  # of one question to memcached
    segment_ttl_s: int = 2_592_000  # of a segment that a visit sets
    match_ttl_s: int = 7_776_000  # of the cookie, and of what was matched by it
    capped: int = 1_048_576  # windows and users that a host keeps, 24 bytes each: a power of two
    segmented: int = 131_072  # users in segments of ours that a host keeps, 384 bytes each: a power of two

    @property
    def holds_s(self) -> tuple[int, int, int, int]:
        """By format: mtype 1 to 4."""
        return self.banner_hold_s, self.video_hold_s, self.audio_hold_s, self.native_hold_s


@dataclass(frozen=True, slots=True)
class Retention:
    """How long facts stay in Postgres; totals of money always do (docs/ledger.md). 0: for ever."""

    bids_days: int = 14  # what repeats of notices are recognised by; bids that were clicked: the click window longer
    leases_days: int = 60  # after they were closed; then they are folded into their campaigns
    rollup_days: int = 400
    transfers_days: int = 0


@dataclass(frozen=True, slots=True)
class Nightly:
    at: str = "03:10"  # UTC: the aggregator reconciles and gives up what is old; empty: not by itself


@dataclass(frozen=True, slots=True)
class Log:
    file: str = ""  # in the state directory; empty: stderr. `outbid up` gives each of its roles one of its own
    rotate_mb: int = 16  # then it becomes <file>.1, and so on
    keep: int = 4  # older parts


@dataclass(frozen=True, slots=True)
class Metrics:
    statsd: str = ""  # host:port of a StatsD sink, which hears of every second over UDP; empty: none
    statsd_tags: bool = True  # as DogStatsD writes them; false: in the names


@dataclass(frozen=True, slots=True)
class Settings:
    bidder: Bidder = field(default_factory=Bidder)
    tracker: Tracker = field(default_factory=Tracker)
    tracking: Tracking = field(default_factory=Tracking)
    controller: Controller = field(default_factory=Controller)
    monitor: Monitor = field(default_factory=Monitor)
    postgres: Postgres = field(default_factory=Postgres)
    memcached: Memcached = field(default_factory=Memcached)
    bus: Bus = field(default_factory=Bus)
    stream: Stream = field(default_factory=Stream)
    money: Money = field(default_factory=Money)
    currency: Currency = field(default_factory=Currency)
    consent: Consent = field(default_factory=Consent)
    users: Users = field(default_factory=Users)
    retention: Retention = field(default_factory=Retention)
    nightly: Nightly = field(default_factory=Nightly)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    exchanges: Mapping[str, Exchange] = field(default_factory=lambda: dict(SHIPPED_EXCHANGES))


def _convert(value: Any, kind: Any, where: str, from_text: bool) -> Any:
    """`value` as `kind`, or a SettingsError that names `where`."""
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise SettingsError(f"{where}: {value!r} is none of {', '.join(map(repr, get_args(kind)))}")
    if get_origin(kind) is tuple:
        items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        item_kind = get_args(kind)[0]
        if not isinstance(items, list | tuple):
            raise SettingsError(f"{where}: a list is wanted, not {value!r}")
        return tuple(_convert(item, item_kind, where, isinstance(value, str)) for item in items)
    if from_text and kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            raise SettingsError(f"{where}: a number is wanted, not {value!r}") from None
    if from_text and kind is bool:
        if value.lower() in ("true", "1", "yes", "false", "0", "no"):
            return value.lower() in ("true", "1", "yes")
        raise SettingsError(f"{where}: true or false is wanted, not {value!r}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is kind:
        return value
    raise SettingsError(f"{where}: {kind.__name__} is wanted, not {value!r}")


def _section(base: Any, values: Any, where: str, from_text: bool = False) -> Any:
    """`base` with `values` on top."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where}: a table is wanted, not {values!r}")
    hints = get_type_hints(type(base))
    changes = {}
    for key, value in values.items():
        if key not in hints:
            raise SettingsError(f"{where}.{key}: no such setting; there are {', '.join(sorted(hints))}")
        changes[key] = _convert(value, hints[key], f"{where}.{key}", from_text)
    return replace(base, **changes)


def _exchanges(values: Any, where: str) -> dict[str, Exchange]:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where}: a table is wanted, not {values!r}")
    rows = dict(SHIPPED_EXCHANGES)
    for name, row in values.items():
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise SettingsError(f"{where}.{name}: the name of an exchange is letters, digits, - and _")
        if name not in rows and (not isinstance(row, Mapping) or "key" not in row):
            raise SettingsError(f"{where}.{name}: a new exchange needs a key of its own (1 to 63)")
        base = rows.get(name, Exchange(key=0))
        dialect = row.get("dialect", base.dialect) if isinstance(row, Mapping) else base.dialect
        if dialect not in DIALECTS:
            raise SettingsError(f"{where}.{name}.dialect: {dialect!r} is none of {', '.join(sorted(DIALECTS))}")
        rows[name] = _section(_spoken(base, dialect), row, f"{where}.{name}")
        _check_exchange(rows[name], f"{where}.{name}")
    seen: dict[int, str] = {}
    for name, exchange in rows.items():
        if not 1 <= exchange.key <= 63:
            raise SettingsError(f"{where}.{name}.key: 1 to 63 is wanted, not {exchange.key}")
        if exchange.key in seen:
            raise SettingsError(f"{where}.{name}.key: {exchange.key} is already the key of {seen[exchange.key]}")
        seen[exchange.key] = name
    return rows


def _check_exchange(row: Exchange, where: str) -> None:
    """SettingsError where the values of a row do not go together."""
    for name in row.notices:
        if name not in NOTICES:
            raise SettingsError(f"{where}.notices: {name!r} is none of {', '.join(NOTICES)}")
    needed = {"billing": "burl", "win": "nurl"}.get(row.spend_on)
    if needed and needed not in row.notices:
        raise SettingsError(f"{where}.spend_on: {row.spend_on!r} books nothing without {needed} among the notices")
    for network in row.allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(f"{where}.allow: {error}") from None
    if min(row.response_bytes, row.rate_per_s) < 0 or min(row.tmax_ms, row.price_unit_nano, row.notice_url_chars) < 1:
        raise SettingsError(f"{where}: tmax_ms, price_unit_nano and notice_url_chars are positive, no limit negative")
    if row.match_url and (not row.match_url.startswith(("https://", "http://")) or "{uid}" not in row.match_url):
        raise SettingsError(f"{where}.match_url: http(s)://... with {{uid}} in it is wanted, not {row.match_url!r}")
    if row.secret_header and not row.secret_file:
        raise SettingsError(f"{where}.secret_header: there is no secret_file whose secret it would carry")


def _check_tracking(tracking: Tracking, where: str) -> None:
    for name in ("banner_ttl_s", "video_ttl_s", "audio_ttl_s", "native_ttl_s", "click_window_s", "view_window_s"):
        if getattr(tracking, name) < 0:
            raise SettingsError(f"{where}.{name}: no time is negative, not {getattr(tracking, name)}")
    if tracking.token_ttl_s < 1:
        raise SettingsError(f"{where}.token_ttl_s: a second or more is wanted, not {tracking.token_ttl_s}")


def _check_consent(consent: Consent, where: str) -> None:
    if not 0 <= consent.vendor_id <= 65_535:
        raise SettingsError(f"{where}.vendor_id: 0 to 65535 is wanted, not {consent.vendor_id}")
    for key in ("consent_purposes", "interest_purposes", "flexible_purposes"):
        wrong = [purpose for purpose in getattr(consent, key) if not 1 <= purpose <= 24]
        if wrong:
            raise SettingsError(f"{where}.{key}: purposes are 1 to 24, not {wrong[0]}")
    both = set(consent.consent_purposes) & set(consent.interest_purposes)
    if both:
        raise SettingsError(f"{where}: purpose {min(both)} is declared on consent or on interest, not on both")


def _check_users(users: Users, where: str) -> None:
    for key in ("capped", "segmented"):
        n = getattr(users, key)
        if n & (n - 1) or not 1_024 <= n <= 1 << 24:
            raise SettingsError(f"{where}.{key}: a power of two from 1024 to {1 << 24} is wanted, not {n}")
    for key in ("banner_hold_s", "video_hold_s", "audio_hold_s", "native_hold_s"):
        if not 1 <= getattr(users, key) <= 86_400:
            raise SettingsError(f"{where}.{key}: 1 to 86400 is wanted, not {getattr(users, key)}")
    if not 1 <= users.fresh_s <= users.good_s <= 86_400:
        raise SettingsError(f"{where}: 1 <= fresh_s <= good_s <= 86400 is wanted")
    if min(users.store_timeout_ms, users.segment_ttl_s, users.match_ttl_s) < 1:
        raise SettingsError(f"{where}: store_timeout_ms, segment_ttl_s and match_ttl_s are positive")


def _check_retention(settings: Settings, place: str) -> None:
    kept, day = settings.retention, 86_400
    for key, least_s in (
        ("bids_days", max(settings.tracking.longest_ttl_s, settings.tracking.view_window_s) + day),
        ("leases_days", (kept.bids_days + 1) * day),
    ):
        days = getattr(kept, key)
        if days and days * day < least_s:
            raise SettingsError(f"{place}: retention.{key}: {-(-least_s // day)} at least (or 0), not {days}")
    for key in ("rollup_days", "transfers_days"):
        days = getattr(kept, key)
        if days < 0 or 0 < days <= kept.bids_days:
            raise SettingsError(f"{place}: retention.{key}: longer than bids_days (or 0) is wanted, not {days}")
    at = settings.nightly.at
    if at and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", at):
        raise SettingsError(f"{place}: nightly.at: a time of the day as 03:10 is wanted, not {at!r}")


def parse(document: Mapping[str, Any], place: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a TOML document and `OUTBID_<SECTION>_<KEY>` variables; `place` stands in errors."""
    settings = Settings()
    sections = {f.name: f for f in fields(Settings)}
    changes: dict[str, Any] = {}
    for name, values in document.items():
        if name not in sections:
            raise SettingsError(f"{place}: [{name}]: no such section; there are {', '.join(sorted(sections))}")
        where = f"{place}: {name}"
        if name == "exchanges":
            changes[name] = _exchanges(values, where)
        else:
            changes[name] = _section(getattr(settings, name), values, where)
    settings = replace(settings, **changes)
    for variable, text in sorted((environ or {}).items()):
        if not variable.startswith("OUTBID_"):
            continue
        section, _, key = variable.removeprefix("OUTBID_").lower().partition("_")
        if variable in OTHER_VARIABLES:
            continue
        if section not in sections or section == "exchanges" or not is_dataclass(getattr(settings, section)):
            raise SettingsError(f"{variable}: there is no section {section!r} that a variable could set")
        settings = replace(
            settings, **{section: _section(getattr(settings, section), {key: text}, variable, from_text=True)}
        )
    _check_consent(settings.consent, f"{place}: consent")
    _check_tracking(settings.tracking, f"{place}: tracking")
    _check_users(settings.users, f"{place}: users")
    _check_retention(settings, place)
    if min(settings.log.rotate_mb, settings.log.keep) < 1:
        raise SettingsError(f"{place}: log: rotate_mb and keep are 1 at least")
    for door in filter(None, (settings.bidder.metrics_listen, settings.metrics.statsd)):
        address(door)
    return settings


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a file (or the defaults) and the environment."""
    environ = os.environ if environ is None else environ
    if path is None:
        return parse({}, "defaults", environ)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    return parse(document, str(path), environ)


def address(text: str) -> tuple[str, int]:
    """`host:port` as a pair; SettingsError where it is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise SettingsError(f"{text!r}: host:port is wanted")
    return host.strip("[]"), int(port)
