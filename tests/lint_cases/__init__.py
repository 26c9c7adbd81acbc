"""Requests with answers that nobody objects to (good.py), and changes that break one rule each (the other rooms)."""
