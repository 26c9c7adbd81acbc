"""HTTP/1.1 framing for the listener: compiled callers only (`framing.pxd`), nothing for Python.

Limits: head 32,768 bytes and 64 fields (431), request line 8,192 bytes (414), line of a
chunk 256 bytes, extensions and trailers of one body 4,096 bytes (400).
"""
