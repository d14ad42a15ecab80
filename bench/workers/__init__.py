"""Processes that the benchmark starts beside the server: they import little, to stay small."""
