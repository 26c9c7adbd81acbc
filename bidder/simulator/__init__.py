"""An exchange to test against: synthetic traffic, an open-loop generator, auctions, notices, books of its own."""
