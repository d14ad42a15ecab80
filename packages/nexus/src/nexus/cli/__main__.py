"""Where ``python -m nexus.cli`` enters: the same as the command ``nexus``."""

from nexus.cli import main

main()
