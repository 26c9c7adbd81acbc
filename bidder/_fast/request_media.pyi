"""Manual: nothing here is for Python; `bidder._fast.request.Reader` reads whole bodies."""
