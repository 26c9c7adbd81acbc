"""Bodies that come or go compressed: compiled callers only (`packing.pxd`), nothing for Python."""
