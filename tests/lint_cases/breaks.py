"""Every rule broken, and no other with it: (rule, medium, changes of the good talk). The rooms hold the rows."""

from typing import Any

from tests.lint_cases import breaks_bid, breaks_formats, breaks_response

BREAKS: list[tuple[str, str, dict[str, Any]]] = [*breaks_response.BREAKS, *breaks_bid.BREAKS, *breaks_formats.BREAKS]
