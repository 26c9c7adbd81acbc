"""The wire: what exchanges send, what they get, and the code lists that both name things by."""
