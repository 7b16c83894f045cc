"""python -m irn"""

import sys

from irn.cli import main

if __name__ == "__main__":
    sys.exit(main())
