"""The messages that the troubleshooting page quotes are those that the program prints."""

import ast
import re

import pytest

from support.documents import REPOSITORY, examples_of

PAGE = REPOSITORY / "docs" / "troubleshooting.md"
MESSAGES = [" ".join(message.split()) for message in examples_of(PAGE, "text")]
PLACEHOLDER = re.compile(r"%[-+.\d]*[sdfg]")


def texts(path):
    """Constant parts of the strings of a module, where adjacent ones count as one and ``…`` stands for what varies."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield PLACEHOLDER.sub("…", node.value).replace("%%", "%")


SAID = "\n".join(text for path in (REPOSITORY / "src").rglob("*.py") for text in texts(path))


@pytest.mark.parametrize("message", MESSAGES)
def test_every_fixed_part_of_a_message_is_in_the_program(message):
    parts = [part.strip(" '").removesuffix(".") for part in message.split("…")]
    fixed = [part for part in parts if len(part) > 3]
    assert sum(map(len, fixed)) > 15, "too little is quoted to find the message"
    for part in fixed:
        assert part in SAID


def test_the_page_quotes_messages():
    assert len(MESSAGES) > 40
