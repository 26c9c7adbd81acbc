"""Users for tests: tables, keys and a store of their own, and bids whose tokens the settlement gets."""

import re
from pathlib import Path
from typing import Any

from bidder._fast.frequency import FrequencyTable
from bidder.cache import Remote
from bidder.money.tokens import Token, TokenClass
from bidder.users.store import UserStore
from tests.worlds import World, user_keys


def a_store(address: str, **options: Any) -> UserStore:
    return UserStore(Remote([address], **options))


def shared_table(directory: Path, now_s: int) -> FrequencyTable:
    """As the supervisor of a host makes it, where a World or a Settlement finds it."""
    (directory / "shm").mkdir(parents=True, exist_ok=True)
    return FrequencyTable(directory / "shm" / "frequency", 4096, now_s=now_s, keys=user_keys)


def page_token(world: World, bid: dict[str, Any]) -> Token:
    (text,) = re.findall(r"/click/([\w-]{124})", bid["adm"])
    token = world.opener.open(text, TokenClass.PAGE)
    assert token is not None
    return token


def notice_token(world: World, bid: dict[str, Any]) -> Token:
    (text,) = re.findall(r"/loss/([\w-]{124})", bid["lurl"])
    token = world.opener.open(text, TokenClass.NOTICE)
    assert token is not None
    return token
