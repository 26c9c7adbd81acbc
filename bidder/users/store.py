"""The user store: profiles in memcached, by digest. Nobody waits for it who must not; see bidder/cache/remote.py.

Keys: `outbid:u:` and 16 hex digits, a keyed hash of the period. Whatever has no end is not stored.
"""

from collections.abc import Callable, Iterable

from bidder.cache import Remote
from bidder.settings import Settings
from bidder.users.profile import Profile, decode, encode

PREFIX = "outbid:u:"


def key_of(digest: int) -> str:
    """Under which memcached has this user."""
    return f"{PREFIX}{digest:016x}"


class UserStore:
    """Profiles of the users of all hosts."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def close(self) -> None:
        """Waits for what is under way."""
        self.remote.close()

    async def fetch(self, digests: Iterable[int]) -> dict[int, Profile] | None:
        """Those that are there; None: no answer."""
        keys = {key_of(digest): digest for digest in digests}
        found = await self.remote.get_many(keys)
        return None if found is None else {keys[key]: decode(data) for key, data in found.items()}

    async def change(self, digest: int, now_s: int, how: Callable[[Profile], object]) -> Profile | None:
        """`how` alters the profile, maybe more than once: it runs again where another host was faster. What it returns
        says whether there is anything to store. The profile as it is stored now; None: no answer."""

        def altered(data: bytes | None) -> tuple[bytes | None, float]:
            profile = decode(data)
            profile.prune(now_s)
            if not how(profile):
                return None, 0
            profile.prune(now_s)
            return encode(profile), profile.ends_s - now_s

        data = await self.remote.change(key_of(digest), altered)
        return None if data is None else decode(data)


def open_store(settings: Settings) -> UserStore | None:
    """None where the settings have no memcached."""
    servers = settings.memcached.servers
    return UserStore(Remote(servers, timeout_s=settings.users.store_timeout_ms / 1_000)) if servers else None
