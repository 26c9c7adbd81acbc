"""Why a request got no bid: of each campaign the first predicate that failed, in the words of the field."""
