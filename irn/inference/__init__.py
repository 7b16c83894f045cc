"""The method and the final networks on images, from trained weights."""
