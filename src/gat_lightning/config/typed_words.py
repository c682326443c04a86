"""Words of a command line, made into what Hydra reads."""

import argparse
from collections import Counter
from collections.abc import Sequence

from hydra._internal.utils import get_args_parser

from gat_lightning.config.files import find_conf
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import OUTPUT

# Characters that mean something in a value, or in quotes, so that nothing is put around them.
_MEANT = frozenset("\"'\\{}[]()")


def readable(arguments: Sequence[str]) -> list[str]:
    """The overrides, each as :func:`as_override` has it, then the options of Hydra, in whatever order they were typed.

    Hydra itself reads no overrides on both sides of an option.

    Raises:
        UserError: an option is not one of Hydra's, or lacks its value or has a wrong one; or a word is not UTF-8.
    """
    for word in arguments:
        if not _is_unicode(word):
            raise UserError(f"{word!a} is not in UTF-8: set the terminal, or the script, to that encoding.")
    parser = get_args_parser()
    parser.allow_abbrev = False  # with it, --experiment=NAME would be taken for --experimental-rerun
    parser.exit_on_error = False
    try:
        known, unknown = parser.parse_known_intermixed_args(arguments)
    except argparse.ArgumentError as error:
        raise UserError(f"{str(error).capitalize()}. See --hydra-help.") from error
    for word in unknown:
        name = word.lstrip("-")
        raise UserError(f"There is no option {word}: groups and settings have no dashes, {name}.")
    return [*map(as_override, known.overrides), *_without(arguments, known.overrides)]


def as_override(word: str) -> str:
    """An override with quotes that Hydra needs and nobody types.

    They are put around ``true`` and the like where the name of an option is meant, and around values with letters that
    are not ASCII, which are always text.
    """
    name, _, value = word.partition("=")
    if name and (find_conf() / name.lstrip("+")).is_dir() and value.lower() in ("true", "false", "null"):
        return f"{name}='{value}'"
    if value.isascii() or _MEANT.intersection(value):
        return word
    return f"{name}={','.join(part if part.isascii() else _quoted(part) for part in value.split(','))}"


def with_output(words: Sequence[str], setting: str) -> list[str]:
    """The words with ``output=`` and ``paths.output=`` in the command's own spelling.

    Args:
        words: of the command line.
        setting: that names what the command writes, one of the two.
    """
    parts = [word.partition("=") for word in words]
    return [f"{setting if name in OUTPUT else name}{mark}{value}" for name, mark, value in parts]


def _quoted(text: str) -> str:
    return f'"{text}"'


def _is_unicode(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without(words: Sequence[str], others: Sequence[str]) -> list[str]:
    left = Counter(others)
    kept = []
    for word in words:
        if left[word]:
            left[word] -= 1
        else:
            kept.append(word)
    return kept
