"""Manual: `formats` has no Python face. `bidder._fast.rules` asks it; tests reach it through `Decider.answer`."""
