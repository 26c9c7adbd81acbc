"""Settings of every process: one TOML file, overridden by `OUTBID_<SECTION>_<KEY>`.

Read once at start, frozen, units in names. Unknown sections, keys and values of
the wrong type are refused by name with the place they stand in.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bidder.openrtb.exchanges import DIALECTS
from bidder.sections import (
    SHIPPED_EXCHANGES as SHIPPED_EXCHANGES,
)
from bidder.sections import (
    Bidder as Bidder,
)
from bidder.sections import (
    Bus as Bus,
)
from bidder.sections import (
    Canary as Canary,
)
from bidder.sections import (
    Consent as Consent,
)
from bidder.sections import (
    Controller as Controller,
)
from bidder.sections import (
    Currency as Currency,
)
from bidder.sections import (
    Exchange as Exchange,
)
from bidder.sections import (
    Log as Log,
)
from bidder.sections import (
    Memcached as Memcached,
)
from bidder.sections import (
    Metrics as Metrics,
)
from bidder.sections import (
    Money as Money,
)
from bidder.sections import (
    Monitor as Monitor,
)
from bidder.sections import (
    Nightly as Nightly,
)
from bidder.sections import (
    Postgres as Postgres,
)
from bidder.sections import (
    Retention as Retention,
)
from bidder.sections import (
    Settings as Settings,
)
from bidder.sections import (
    Stream as Stream,
)
from bidder.sections import (
    Tracker as Tracker,
)
from bidder.sections import (
    Tracking as Tracking,
)
from bidder.sections import (
    Users as Users,
)
from bidder.sections import (
    spoken,
)

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
        rows[name] = _section(spoken(base, dialect), row, f"{where}.{name}")
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


def _check_canary(canary: Canary, where: str) -> None:
    for key in fields(canary):
        if getattr(canary, key.name) <= 0:
            raise SettingsError(f"{where}.{key.name}: more than 0 is wanted, not {getattr(canary, key.name)}")
    for name in ("alpha", "tau", "errors", "late", "slow"):
        if getattr(canary, name) >= 1:
            raise SettingsError(f"{where}.{name}: less than 1 is wanted, not {getattr(canary, name)}")
    if canary.most_s < canary.min_s or not 1 <= canary.wait_ms < 1_000:
        raise SettingsError(f"{where}: most_s of min_s at least, and wait_ms of 1 to 999 are wanted")


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
    _check_canary(settings.canary, f"{place}: canary")
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
