"""The page on which people look at a run's labels, and accept, reject and correct them."""
