"""The host that these tests share: two workers, the example campaigns, and what tests add; a vendor of TCF."""

from collections.abc import Iterator

import pytest

from tests.blackbox.targeting_cases import VENDOR
from tests.hosts import EXAMPLES, Host, running


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One for the whole run. A test leaves it as it found it: everything up, nothing switched off."""
    environ = {"OUTBID_CONSENT_VENDOR_ID": str(VENDOR)}
    with running(tmp_path_factory.mktemp("blackbox") / "state", workers=2, environ=environ) as host:
        host.verb("campaign", "import", str(EXAMPLES), "--wait")
        yield host
