"""Fuzz targets: the listener and the reader under mutated bytes, in compiled loops, with sanitizers or without."""
