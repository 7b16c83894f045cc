"""The numerics of the method, as functions on arrays."""
