"""How networks learn: the loop, what they see, and what is minimised."""
