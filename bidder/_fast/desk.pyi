"""Nothing here is for Python: desks are the inside of `bidder._fast.decision`; `desk.pxd` is their map."""
