"""Where ``python -m oblivion`` begins."""

import sys

from oblivion._cli import main

sys.exit(main())
