"""How much memory a training may take for the features of its images."""

FEATURES = 4 * 2**30  # bytes
