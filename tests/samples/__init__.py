"""Samples: what builds leave for each other, one small real piece of every format.

Written by `python -m tests.samples`, read by tests/unit/test_samples.py of every later build. docs/formats.md says
when they are written anew: when a format's mark changes, which ends what builds share, and never because a test fails.
"""
