"""Data sets: their kinds, tables, images, masks and predictions."""
