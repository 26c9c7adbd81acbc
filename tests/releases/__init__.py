"""Releases under load: nothing refused, reset or late, and builds that are bad go back by themselves."""
