"""The MCP server of the measure ``tools``, made with the official SDK: it says what it is told."""

from mcp.server import MCPServer

server = MCPServer("echo")


@server.tool()
def say(text: str) -> str:
    """Say it again."""
    return text


if __name__ == "__main__":
    server.run("stdio")
