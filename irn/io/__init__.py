"""Files, processes, devices and progress: nothing here decides a number."""
