"""``python -m anas_zoo.cli``: the command line where the script ``anas`` is not on the path."""

from __future__ import annotations

import sys

from anas_zoo.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
