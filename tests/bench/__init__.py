"""Benchmarks: whole processes, ratios in one run, CPU from the processes' own accounting."""
