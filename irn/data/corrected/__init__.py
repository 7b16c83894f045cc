"""Masks of some images that people have corrected, in the formats of the tools in which they do so."""
