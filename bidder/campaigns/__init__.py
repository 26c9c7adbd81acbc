"""The book: campaigns as operators write them (model), compiled (compile), kept and followed (snapshot)."""
