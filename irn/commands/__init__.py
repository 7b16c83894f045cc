"""The commands: each module reads files, calls functions that compute, and writes files."""
