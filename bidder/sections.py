"""Sections of the settings: what can be set, its defaults, units in names. Read by bidder/settings.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from bidder.openrtb.exchanges import DIALECTS, KEYS, Dialect


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
    cpu_scheduling: Literal["other", "rr"] = "other"  # rr: workers run before all ordinary processes


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


def spoken(row: Exchange, dialect: str) -> Exchange:
    """The row in another dialect."""
    return replace(row, dialect=dialect, **{f.name: getattr(DIALECTS[dialect], f.name) for f in fields(Dialect)})


SHIPPED_EXCHANGES: dict[str, Exchange] = {name: spoken(Exchange(key=key), name) for name, key in KEYS.items()}


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
class Canary:
    """How builds are tried and judged (docs/canary.md). Shares: 0 to 1, of the last three seconds."""

    alpha: float = 0.05  # of equal builds that may be rolled back, whatever is measured and however often one looks
    tau: float = 0.05  # the difference that the test is sharpest for, as a part of what the baseline has
    min_s: int = 300  # of each step, unless the operator says otherwise
    most_s: int = 3_600  # of all; what cannot be decided then is inconclusive
    wait_ms: int = 30  # that the canary's workers may take for an answer; then the stable build answers
    slow_ms: int = 16  # what takes longer is slow: 16.4 ms, the next power of two of microseconds
    errors: float = 0.05  # more than that, and twice what the baseline has, is rolled back; the next two as well
    late: float = 0.05
    slow: float = 0.25
    p99_ms: int = 30  # likewise, of the last 200 answers
    invalid: int = 3  # answers that break a rule of the linter
    offered_factor: float = 3.0  # of what the baseline offers for a request
    crashes: int = 2  # in a minute
    memory_factor: float = 1.5  # of the largest worker of the baseline, and memory_mb more
    memory_mb: int = 64
    unbilled_s: int = 60  # that a bid may be billed after: --max-spend counts what was offered so long as if it were


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
    canary: Canary = field(default_factory=Canary)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    exchanges: Mapping[str, Exchange] = field(default_factory=lambda: dict(SHIPPED_EXCHANGES))
