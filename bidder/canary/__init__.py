"""Canary: a new build on a slice of live traffic, judged against an equal slice of the stable one."""
