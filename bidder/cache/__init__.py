"""A cache of two levels: this process, then memcached. Good for use alone; docs/users.md says how."""

from bidder.cache.entry import Entry
from bidder.cache.local import Local
from bidder.cache.remote import Remote
from bidder.cache.tiered import LoadError, Tiered

__all__ = ["Entry", "LoadError", "Local", "Remote", "Tiered"]
