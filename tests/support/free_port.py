"""Where tests find a port that nobody uses."""

import socket


def free_port() -> int:
    """Return a free port of this machine; it stays free unless somebody else is quicker."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
