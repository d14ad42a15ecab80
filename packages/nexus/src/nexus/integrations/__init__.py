"""Other services: what comes in from them, and what is shown there."""
