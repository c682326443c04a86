"""User messages for errors of Hydra, OmegaConf, Lightning and our own."""

import re
from collections.abc import Iterable, Iterator
from functools import singledispatch
from pathlib import Path
from typing import Any

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gat_lightning.config.constructors import settable, walk
from gat_lightning.config.files import find_conf
from gat_lightning.errors import NonFiniteError, SettingError, UserError, is_disk_full
from gat_lightning.nearest import did_you_mean, listed, nearest

# Options that are there once an extra is installed, which brings them.
_OF_EXTRAS = {"hydra/launcher=joblib": "sweep"}
# Groups of which a run may have several options.
_JOINED = ("task", "callbacks", "logger")
# How Hydra begins to say that no group of the command was meant, and how it advises to add the group.
_UNUSED = re.compile(r"Could not override '([^']+)'\. *No match")
_APPEND = "To append to your default list"
_OWN = (UserError, NonFiniteError)
_FOR_THE_USER = (*_OWN, SettingError, HydraException, OmegaConfBaseException)
# What a constructor raises at arguments that it does not like; anything else is a fault in it.
_REFUSALS = (*_FOR_THE_USER, ValueError, TypeError, OSError, ImportError)


def is_for_user(error: BaseException) -> bool:
    """Whether the person who started the run can mend this; otherwise it is a fault of the program."""
    return any(_is_meant(cause) for cause in _causes(error))


def explain(error: BaseException) -> str:
    """What is wrong and what would be right, without a traceback."""
    causes = list(_causes(error))
    own = [cause for cause in causes if isinstance(cause, _OWN)]
    others = [cause for cause in causes if isinstance(cause, _FOR_THE_USER) or _is_misconfiguration(cause)]
    return _text([*own, *others, error][0])


def full_key(error: InstantiationException) -> str:
    """The node that could not be constructed, as Hydra says it on the last line; empty where it does not know it."""
    *_, last = str(error).splitlines()
    return last.removeprefix("full_key: ") if last.startswith("full_key: ") else ""


def _is_meant(error: BaseException) -> bool:
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return isinstance(error.__cause__, _REFUSALS) or _is_misconfiguration(error.__cause__)
    return isinstance(error, _FOR_THE_USER) or _is_misconfiguration(error) or is_disk_full(error)


def _is_misconfiguration(error: BaseException) -> bool:
    """Whether Lightning refuses its arguments; told without importing Lightning."""
    kinds = (f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__)
    return "lightning_fabric.utilities.exceptions.MisconfigurationException" in kinds


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@singledispatch
def _text(error: BaseException) -> str:
    """The error's own words on one line."""
    return " ".join(str(error).split()) or type(error).__name__


@_text.register
def _(error: SettingError) -> str:
    return error.spelled(error.name, "null")


@_text.register
def _(error: OSError) -> str:
    return f"{' '.join(str(error).split())}. Set paths.output=FOLDER to where files may be written."


@_text.register
def _(error: OverrideParseException) -> str:
    if letter := next((letter for letter in error.override if not letter.isascii()), None):
        return (
            f"'{error.override}' cannot be read: outside quotes Hydra knows no '{letter}'. Put the value, or each item"
            " of a list, into quotes within the word, as in 'data.root=\"/daten/Röntgen\"'. Names of settings"
            " have none of these letters."
        )
    reasons = [line for line in error.message.splitlines() if not line.startswith(("Error parsing", "See https"))]
    return (
        f"'{error.override}' cannot be read as GROUP=OPTION or KEY=VALUE ({reasons[0].strip()}). Put a value that holds"
        " spaces, brackets or quotes into quotes, 'KEY=\"VALUE\"', and join tasks with +, as in task=macro+rotation."
    )


@_text.register
def _(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return str(error).splitlines()[0]
    if f"{group}={option}" in _OF_EXTRAS:
        extra = _OF_EXTRAS[f"{group}={option}"]
        return f"{group}={option} needs an extra: pip install 'gat-lightning[{extra}]'"
    options = error.options or sorted(path.stem for path in (find_conf() / group).glob("*.yaml"))
    return (
        f"There is no {group}={option}{did_you_mean(nearest(option, options), f'{group}=', '.')}"
        f"{listed(f'Options of {group}', options)}"
    )


@_text.register
def _(error: ConfigCompositionException) -> str:
    cause = error.__cause__
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)):
        return _text(cause)
    ambiguous, _, rest = str(error).partition("'")
    group, _, options = rest.partition("'")[0].partition("=")
    if ambiguous.startswith("Ambiguous value") and group in _JOINED:
        joined = f"{group}={options.replace(',', '+')}"
        return f"Ambiguous value {group}={options}: options are joined by +, as in {joined}; -m runs one after another."
    if (unused := _UNUSED.match(str(error))) and (elsewhere := _of_other_commands(unused[1])):
        return elsewhere
    lines = [*str(error).splitlines(), *str(cause or "").splitlines()[:1]]
    return " ".join(line.strip() for line in lines if not line.startswith(_APPEND))


@_text.register
def _(error: InstantiationException) -> str:
    where, cause = full_key(error), error.__cause__ or error
    if isinstance(cause, SettingError):
        return cause.spelled(f"{where}.{cause.name}" if where else cause.name, "null")
    words = " ".join(str(cause).split())
    return f"{where}: {words}" if where else words


@_text.register
def _(error: OmegaConfBaseException) -> str:
    where = f"{error.full_key}: " if error.full_key else ""
    return f"{where}{next(iter(str(error).splitlines()), type(error).__name__)}"


@_text.register(ConfigKeyError)
@_text.register(ConfigAttributeError)
def _(error: ConfigKeyError | ConfigAttributeError) -> str:
    full, node = str(error.full_key), error.parent_node
    if not isinstance(node, DictConfig):
        return f"There is no setting {full}."
    path, _, key = full.rpartition(".")
    beside = [str(name) for name in node if name != "_target_"] if path else _top_level(node)
    possible = settable(node)
    if key in possible:
        return f"{full} is possible, but not among the settings yet: write +{full}=VALUE."
    meant = _elsewhere(key, node)
    if not meant and not path and (elsewhere := _of_other_commands(full)):
        return elsewhere
    meant = meant or _beside(key, path, [*beside, *possible])
    if not meant and not path:
        meant = [name for last in nearest(key, _by_last_part(node)) for name in _elsewhere(last, node)]
    known = listed(f"Settings of {path}", beside) if path else ""
    what = "setting" if path else "setting or group"
    return f"There is no {what} {full}{did_you_mean(meant, otherwise='.')}{known}"


def _top_level(node: DictConfig) -> list[str]:
    """Settings and groups."""
    groups = (path.name for path in find_conf().iterdir() if path.is_dir())
    return list(dict.fromkeys([*map(str, node), *groups]))


def _of_other_commands(name: str) -> str:
    """Which commands have a setting or group that this one has not; empty where none has."""
    commands = [path.stem for path in sorted(find_conf().glob("*.yaml")) if name in _names_in(path)]
    if not commands:
        return ""
    return f"{name} is a setting of {', '.join(commands)}; this command has none of that name. See --help."


def _names_in(path: Path) -> set[str]:
    """Settings and groups of the top level of a command's file."""
    content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    groups = (group for entry in content["defaults"] if isinstance(entry, dict) for group in entry)
    return {*content, *groups}


def _beside(key: str, path: str, names: Iterable[str]) -> list[str]:
    return [f"{path}.{name}" if path else name for name in nearest(key, (other for other in names if other != key))]


def _elsewhere(key: str, node: DictConfig) -> list[str]:
    """Settings of this very name in other places, those nearest to the top."""
    found = _by_last_part(node).get(key, [])
    top = min((name.count(".") for name in found), default=0)
    return [name for name in found if name.count(".") == top]


def _by_last_part(node: DictConfig) -> dict[str, list[str]]:
    """Full names of all settings of the whole configuration, by their last part."""
    root = node._get_root()
    assert isinstance(root, DictConfig)
    names: dict[str, list[str]] = {}
    for path, _, key in walk(root):
        if key != "_target_" and not path.startswith("hydra."):
            names.setdefault(str(key), []).append(path)
    return names
