"""The report of a run: what lies in its folder, what was found in its images, charts, and the page."""
