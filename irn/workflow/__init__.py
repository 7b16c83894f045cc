"""The stages of the workflow, their options, and where in the store their files lie."""
