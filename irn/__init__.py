"""Weakly supervised instance segmentation with inter-pixel relations (IRNet), one stage a command."""

__version__ = "0.1.0"
