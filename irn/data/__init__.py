"""Data sets: the kinds there are, their images, classes and ground truth, and the tables that are made of them."""
