"""The demonstration data set: invented animals that differ in their heads only, on cluttered grounds."""
