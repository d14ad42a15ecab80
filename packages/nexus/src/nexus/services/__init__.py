"""One function per command: it changes state and writes what agents are told, at once.

Services are plain synchronous functions over :class:`nexus.store.Tx`; they never send anything.
What agents are told is a row in ``agent_events``, what people see is a row in ``activity``, and
``tx.wake`` names who should look once the transaction is on disk.
"""
