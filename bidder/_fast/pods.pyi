"""Manual: `pods` has no Python face. `bidder._fast.auction` keeps one for each request."""
