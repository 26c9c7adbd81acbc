"""Bits of the features that can be off, as bidder.features has them; a test holds the two together."""

cdef enum:
    FEATURE_SHADING = 1
    FEATURE_SEGMENTS = 2
    FEATURE_MULTIPLIERS = 4
    FEATURE_VIDEO = 8
    FEATURE_AUDIO = 16
    FEATURE_NATIVE = 32
    FEATURE_DEALS = 64
    FEATURE_PODS = 128

cdef enum:
    ALL_OF_IMPS = 8 | 16 | 32 | 64 | 128       # of those that look at each imp
