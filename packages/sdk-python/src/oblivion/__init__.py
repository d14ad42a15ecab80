"""The Oblivion SDK."""
