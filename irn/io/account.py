"""What a process needs of the account that it runs under, and may lack in a container: a name, outputs, an encoding."""

import getpass
import os
import sys


def suit_the_system() -> None:
    """Give the user a name where the system has none, and let a process print without an output, and any letters.

    torch asks for the name. What a process prints must not be the reason why it fails: letters that the output cannot
    show are printed as codes, and what goes to an output that is closed, as some daemons leave it, is dropped.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = f"user{os.getuid()}"
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
