"""What may stand in `[consent]`."""

import pytest

from bidder.settings import Consent, SettingsError, parse


def test_consent_is_read_from_the_file_and_from_the_environment() -> None:
    document = {"consent": {"vendor_id": 755, "consent_purposes": [1, 2], "interest_purposes": [7]}}
    found = parse(
        document, "f", {"OUTBID_CONSENT_FLEXIBLE_PURPOSES": "2, 7", "OUTBID_CONSENT_CONTEXTUAL": "no"}
    ).consent
    assert found == Consent(755, (1, 2), (7,), (2, 7), contextual=False)
    assert parse({}, "f").consent == Consent()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"vendor_id": -1}, "f: consent.vendor_id: 0 to 65535"),
        ({"vendor_id": 65_536}, "f: consent.vendor_id: 0 to 65535"),
        ({"vendor_id": "7"}, "f: consent.vendor_id: int is wanted"),
        ({"consent_purposes": [0]}, "f: consent.consent_purposes: purposes are 1 to 24, not 0"),
        ({"flexible_purposes": [25]}, "f: consent.flexible_purposes: purposes are 1 to 24, not 25"),
        ({"interest_purposes": ["2"]}, "f: consent.interest_purposes: int is wanted"),
        ({"interest_purposes": 2}, "f: consent.interest_purposes: a list is wanted"),
        ({"consent_purposes": [2], "interest_purposes": [2]}, "purpose 2 is declared on consent or on interest"),
    ],
)
def test_what_cannot_be_on_the_vendor_list_is_refused_by_name(values: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse({"consent": values}, "f")
