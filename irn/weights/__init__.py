"""Files of trained networks."""
