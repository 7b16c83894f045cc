"""Types of arguments on the command line; each raises argparse's error for text that it does not accept."""

import argparse
import os
from pathlib import Path, PosixPath

from irn.records import Shard
from irn.settings.final_networks import TRAINED_NETWORKS


class FileToWrite(PosixPath):
    """The path of a file that a command writes."""


def file_to_write(text: str) -> FileToWrite:
    """A file that can be written: found out before the work, not after it."""
    path = FileToWrite(text)
    try:
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{text!r} is a folder; give the name of a file")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written ({error.strerror}); give another name") from None
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be written, since {parent} is not a folder that you may write to; choose another place"
        )
    return path


def shard(text: str) -> Shard:
    """A shard I/N."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a shard I/N with 0 <= I < N, such as 0/4")
    return Shard(int(index), int(count))


def whole_number(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def port(text: str) -> int:
    """A port of a machine, or 0."""
    if not (text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a whole number from 0 to 65535")
    return int(text)


def positive_number(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def predictions_of_a_network(text: str) -> tuple[str, Path]:
    """A final network and the folder of its predictions, NAME=DIR."""
    name, _, folder = text.partition("=")
    if not (folder and name in TRAINED_NETWORKS):
        names = ", ".join(TRAINED_NETWORKS)
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR with a NAME of {names}, such as mask_rcnn=DIR")
    return name, Path(folder)
