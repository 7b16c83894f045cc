"""Files, caches, processes, devices and progress: transport only; nothing here decides a number."""
