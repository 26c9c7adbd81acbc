"""outbid's bidder: answers one OpenRTB request in time, and all that exchanges talk to."""
