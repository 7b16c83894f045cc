"""Settings: what there are, how a configuration is read and checked, and how it is written."""
