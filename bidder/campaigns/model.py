"""The campaign as operators write it: the import format, one JSON object a line.

    file -> read_lines() -> [Campaign] -> normalise() -> config.campaign.body -> CampaignRecord -> book

Every key is checked (bidder/campaigns/form.py); what is wrong anywhere in a file is
reported at once, by line and place, and then nothing of the file is used. Money and
times are read here; the body keeps them as canonical text, exact and readable in SQL.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bidder.campaigns.checks import Report
from bidder.campaigns.form import campaign_check


class CampaignFileError(ValueError):
    """A campaign file cannot be used; `faults` has every reason, each with its line and place."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Campaign:
    """A checked campaign. `body` is the import format with defaults filled, amounts and times canonical."""

    id: str
    body: dict[str, Any]


def normalise(campaign: Campaign) -> dict[str, Any]:
    """The body that is stored and published; the same campaign always gives the same body."""
    return campaign.body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"a key stands twice: {sorted({name for name in names if names.count(name) > 1})}")
    return result


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_lines(text: str, exchanges: Collection[str]) -> list[Campaign]:
    """Every campaign of a file; CampaignFileError with every fault where there is one. Empty lines are skipped."""
    check = campaign_check(exchanges)
    campaigns: list[Campaign] = []
    faults: list[str] = []
    first: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        report: Report = []
        try:
            value = json.loads(line, object_pairs_hook=_object, parse_constant=_constant)
        except json.JSONDecodeError as error:
            report.append(f"not JSON: {error.msg} at character {error.pos + 1}")
        except (ValueError, RecursionError) as error:
            report.append(f"not a JSON object that can be read: {error}")
        else:
            body = check(value, "", report)
            if not report and body["id"] in first:
                report.append(f"id: {body['id']!r} is already on line {first[body['id']]}")
            if not report:
                first[body["id"]] = number
                campaigns.append(Campaign(body["id"], body))
        faults += [f"line {number}: {fault}" for fault in report]
    if faults:
        raise CampaignFileError(faults)
    return campaigns
