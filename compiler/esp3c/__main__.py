"""`python -m esp3c`."""

from __future__ import annotations

import sys

from esp3c.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
