"""Manual: `rules` has no Python face. `bidder._fast.auction` asks it; tests reach it through `Decider.answer`."""
