"""Where tests get a transport without a network: its peer takes bytes when the test says so."""

import asyncio


class Sink(asyncio.Transport):
    """Keeps what is written; ``held`` is how much of it the peer has not taken."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.held = 0
        self.protocols: list[asyncio.BaseProtocol] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        self.held += len(data)

    def get_write_buffer_size(self) -> int:
        return self.held

    def is_closing(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocols.append(protocol)
