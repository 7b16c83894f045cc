"""Pictures of what the caches hold."""
