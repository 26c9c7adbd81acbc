"""The tests. Each directory is a package, so that files of one name may stand in several."""
