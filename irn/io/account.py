"""What a process needs of the account that it runs under, and may lack in a container: a name, and an encoding."""

import getpass
import os
import sys


def suit_the_system() -> None:
    """Give the user a name where the system has none, and let letters that the output cannot show be printed as codes.

    torch asks for the name. What a process prints must not be the reason why it fails.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = f"user{os.getuid()}"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
