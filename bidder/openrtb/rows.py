"""Rows: each exchange of the settings in plain numbers and prebuilt bytes, as the decision wants it.

settings.Exchange + public URL + secrets in files -> exchange_rows() -> Decider. All that a dialect says is worked out
here, once; what is wrong with it is a SettingsError with its place, before anything is served.
"""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring
from pathlib import Path
from typing import NamedTuple

from bidder.openrtb.markup import MIN_TO_WIN, NOTICES, TOKEN_CHARS, checked_url
from bidder.settings import Exchange, SettingsError

PRICE = "${AUCTION_PRICE}"  # in NOTICES, where the exchange's own macro goes
SECRET_CHARS = 16  # at least: it is the only lock of that door


class ExchangeRow(NamedTuple):
    """What `bidder._fast.row` asks for; its manual says what each is."""

    name: bytes
    key: int
    seat: bytes
    opening: bytes
    notices: tuple[bytes, ...]
    pixel_price: bytes
    response_bytes: int
    gives_nbr: bool
    gzip: bool
    secret: bytes
    secret_field: bytes
    networks: tuple[str, ...]
    rate_per_s: int
    wait_budget_ms: int


def exchange_rows(
    exchanges: Mapping[str, Exchange], public_url: str, *, state: Path = Path(), wait_budget_ms: int = 10
) -> list[ExchangeRow]:
    """Those that are enabled. A request waits at most `wait_budget_ms`, or a quarter of its exchange's time."""
    url = checked_url(public_url)
    return [_row(name, row, url, state, wait_budget_ms) for name, row in exchanges.items() if row.enabled]


def _row(name: str, row: Exchange, url: str, state: Path, wait_budget_ms: int) -> ExchangeRow:
    pixel_price = f"?price={row.price_macro}" if row.spend_on == "impression" else ""
    return ExchangeRow(
        name=name.encode(),
        key=row.key,
        seat=row.seat.encode(),
        opening=f'","cur":"USD","seatbid":[{{"seat":{json.dumps(row.seat, ensure_ascii=False)},"bid":['.encode(),
        notices=_notices(name, row, url),
        pixel_price=encode_basestring(pixel_price)[1:-1].encode(),
        response_bytes=row.response_bytes,
        gives_nbr=row.no_bid == "nbr",
        gzip=row.gzip,
        secret=_secret(name, row, state),
        secret_field=row.secret_header.lower().encode(),
        networks=row.allow,
        rate_per_s=row.rate_per_s,
        wait_budget_ms=min(wait_budget_ms, max(row.tmax_ms // 4, 1)),
    )


def _notices(name: str, row: Exchange, url: str) -> tuple[bytes, ...]:
    """The text around the tokens, in the order of the standard."""
    texts = [""]
    for key, (path, query) in NOTICES.items():
        if key not in row.notices:
            continue
        query = query.replace(PRICE, row.price_macro)
        length = len(f"{url}/{path}/") + TOKEN_CHARS + len(query)
        told = f"&min={row.min_to_win_macro}" if row.min_to_win_macro and key in MIN_TO_WIN else ""
        if length + len(told) <= row.notice_url_chars:
            query, length = query + told, length + len(told)
        if length > row.notice_url_chars:
            raise SettingsError(
                f"exchanges.{name}: {key} would have {length} characters, {row.notice_url_chars} at most"
            )
        texts[-1] += f',"{key}":"{url}/{path}/'
        texts.append(f'{encode_basestring(query)[1:-1]}"')
    return tuple(text.encode() for text in texts)


def _secret(name: str, row: Exchange, state: Path) -> bytes:
    if not row.secret_file:
        return b""
    where = f"exchanges.{name}.secret_file: {state / row.secret_file}"
    try:
        secret = (state / row.secret_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: {error}") from None
    if len(secret) < SECRET_CHARS or not secret.isprintable() or set(secret) & set(" /?#%"):
        raise SettingsError(
            f"{where}: a line of {SECRET_CHARS} characters or more is wanted, of those that a path may hold"
        )
    return secret.encode()
