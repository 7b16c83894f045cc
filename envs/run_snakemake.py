# The command snakemake of .venv: what Snakemake would answer by a traceback is one line. `make env` installs it.
import sys

from irn.errors import IrnError
from irn.workflow.snakemake_call import prepare

try:
    prepare(sys.argv[1:])
except IrnError as error:
    print(f"snakemake: {error}", file=sys.stderr)
    sys.exit(2)

from snakemake.cli import main

sys.exit(main())
