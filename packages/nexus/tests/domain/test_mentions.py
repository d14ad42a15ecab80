"""What counts as a mention."""

import pytest

from nexus.domain.mentions import handle_of, mentioned_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@reviewer please", {"reviewer"}),
        ("ask @Code-Reviewer, or @bob.", {"code-reviewer", "bob"}),
        ("mail me@example.com", set()),
        ("@@x @", set()),
        ("(@a) '@b'", {"a", "b"}),
        ("see https://x.org/@someone", set()),
    ],
)
def test_mentions_are_read_out_of_text(text: str, names: set[str]) -> None:
    assert mentioned_names(text) == names


def test_a_name_is_mentioned_by_its_handle() -> None:
    assert handle_of("  Code Reviewer (v2) ") == "code-reviewer-v2"
