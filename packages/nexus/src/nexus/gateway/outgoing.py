"""Where what an agent is sent waits: gathered for one write a turn of the loop, and counted."""

import asyncio
from itertools import accumulate

_WRITE_AT_ONCE = 64 * 1024
_SIZES_KEPT = 1024


class Outgoing:
    """Writes frames to a transport in order, and knows how many its peer has not taken yet.

    The transport says how many bytes it still holds; which frames these are, their sizes tell.
    """

    __slots__ = ("_gathered", "_gathered_bytes", "_sizes", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._gathered: list[bytes] | None = None
        self._gathered_bytes = 0
        self._sizes: list[int] = []

    def add(self, frame: bytes) -> None:
        """Write a frame, together with what else is added in this turn of the loop."""
        if self._gathered is None:
            self._gathered = [frame]
            asyncio.get_running_loop().call_soon(self.write)
        else:
            self._gathered.append(frame)
        self._gathered_bytes += len(frame)
        if self._gathered_bytes >= _WRITE_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Hand the transport what was gathered."""
        frames, self._gathered, self._gathered_bytes = self._gathered, None, 0
        if frames is None or self._transport.is_closing():
            return
        sizes = [len(frame) for frame in frames]
        if self._transport.get_write_buffer_size():
            self._sizes += sizes
            if len(self._sizes) > _SIZES_KEPT:
                self._forget_taken()
        else:
            self._sizes = sizes
        self._transport.write(b"".join(frames) if len(frames) > 1 else frames[0])

    @property
    def bytes_unread(self) -> int:
        """How many bytes the peer has not taken."""
        return self._transport.get_write_buffer_size() + self._gathered_bytes

    @property
    def frames_unread(self) -> int:
        """How many frames the peer has not taken, the one that it is just taking among them."""
        self._forget_taken()
        return len(self._sizes) + len(self._gathered or ())

    def _forget_taken(self) -> None:
        held = self._transport.get_write_buffer_size()
        if not held:
            self._sizes = []
            return
        for count, total in enumerate(accumulate(reversed(self._sizes)), 1):
            if total >= held:
                self._sizes = self._sizes[-count:]
                return
