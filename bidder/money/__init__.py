"""Money: units, purses, leases, pacing, tokens. No SQL here."""
