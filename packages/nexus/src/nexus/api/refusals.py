"""Where the refusals live that only HTTP knows; they join the tree of :mod:`nexus.domain.errors`.

::

    NexusError
    ├── BadRequest             400  the request cannot be read
    │   └── BadJson                 the body is no JSON, or JSON of a kind that is refused
    ├── TooLarge               413  the body is larger than is taken
    └── UnsupportedMediaType   415  the body is not said to be JSON
        └── Compressed              it is compressed, and could be a bomb
"""

from nexus.domain.errors import NexusError


class BadRequest(NexusError):
    """The request cannot be read."""

    code = "bad_request"
    status = 400


class BadJson(BadRequest):
    """The body is no JSON, or JSON of a kind that is refused."""

    code = "invalid_json"


class TooLarge(NexusError):
    """The body is larger than is taken."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaType(NexusError):
    """The body is not said to be JSON."""

    code = "unsupported_media_type"
    status = 415


class Compressed(UnsupportedMediaType):
    """The body is compressed; what it unpacks to nobody can bound beforehand."""
