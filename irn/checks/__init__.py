"""Everything that may be wrong with a data set, said before it costs hours."""
