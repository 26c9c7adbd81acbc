"""Answers of the listener: compiled callers only (`answers.pxd`), nothing for Python."""
