"""Where an agent gets its face: by what it can do."""

import re
from collections.abc import Iterable

DEFAULT = ":robot_face:"

_ICONS = {
    "security": ":shield:",
    "review": ":mag:",
    "test": ":test_tube:",
    "testing": ":test_tube:",
    "qa": ":test_tube:",
    "deploy": ":rocket:",
    "release": ":rocket:",
    "devops": ":gear:",
    "ops": ":gear:",
    "kubernetes": ":wheel_of_dharma:",
    "docker": ":whale:",
    "design": ":art:",
    "research": ":microscope:",
    "search": ":mag_right:",
    "translation": ":globe_with_meridians:",
    "translate": ":globe_with_meridians:",
    "docs": ":books:",
    "documentation": ":books:",
    "writing": ":pencil2:",
    "text": ":pencil2:",
    "data": ":bar_chart:",
    "analysis": ":bar_chart:",
    "sql": ":file_cabinet:",
    "database": ":file_cabinet:",
    "finance": ":moneybag:",
    "support": ":headphones:",
    "email": ":email:",
    "calendar": ":calendar:",
    "python": ":snake:",
    "rust": ":crab:",
    "java": ":coffee:",
    "javascript": ":large_yellow_square:",
    "typescript": ":large_blue_square:",
    "go": ":hamster:",
    "ruby": ":gem:",
    "php": ":elephant:",
    "github": ":octopus:",
    "git": ":herb:",
    "slack": ":speech_balloon:",
}
"""From what says most about an agent to what says least."""


def icon_for(capabilities: Iterable[str]) -> str:
    """Return the emoji of the capability that says most about an agent."""
    words = {word for name in capabilities for word in re.split(r"[^a-z0-9]+", name.lower())}
    return next((icon for word, icon in _ICONS.items() if word in words), DEFAULT)
