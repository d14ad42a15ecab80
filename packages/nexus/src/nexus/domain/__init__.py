"""The rules of Oblivion as pure functions: no I/O, no clock, no database."""
