"""The tracker: what exchanges and pages tell of a bid is verified and made durable before it is answered."""
