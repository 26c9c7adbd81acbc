"""What is known of persons: caps across hosts, segments of our own, ids matched; keyed hashes under a time to live."""
