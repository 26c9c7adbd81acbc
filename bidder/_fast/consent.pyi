"""The decision of consent, for tools: `bidder._fast.request.Reader` takes it for every request that it reads."""

EEA: tuple[str, ...]
"""Countries where GDPR applies although nobody says so, ISO 3166-1 alpha-3."""
MAY: dict[str, int]
"""What may be allowed, and its bit."""
