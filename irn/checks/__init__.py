"""Everything that may be wrong with a data set, reported before it costs hours."""
