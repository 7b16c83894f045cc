"""What a run of the workflow shows while it lives and at its end."""
