"""Where load comes from: written lean, so that the server is the bottleneck and not the load."""
