"""The campaign record: what the controller publishes and every host compiles into its book."""

from typing import Any

import msgspec


class CampaignRecord(msgspec.Struct, array_like=True, frozen=True):
    """One campaign with the numbers that Postgres gave it. `body` is the import format, normalised."""

    key: int
    advertiser: int  # key
    creatives: dict[str, int]  # id -> key
    deals: dict[str, int]  # deal id -> key, of those it targets
    inventory: dict[str, int]  # bundle or domain, lower case -> key, of those it targets
    active: bool  # False: kept for its click targets only (paused, ended, archived)
    body: dict[str, Any]  # see bidder.campaigns.model.Campaign
