"""Checks of settings against the constructors that receive them: names and types of parameters."""

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from typing_extensions import Unpack

from gat_lightning.config.radii import source_of_radius
from gat_lightning.errors import UserError
from gat_lightning.nearest import did_you_mean, listed, nearest

_OURS = "gat_lightning"
# Of Hydra's, beside ``_target_``.
_FLAGS = ("_partial_", "_recursive_")

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}


def check_constructors(config: DictConfig, read_elsewhere: Mapping[str, Sequence[str]]) -> None:
    """Compare every node that has a ``_target_`` with the signature of that class or function; nothing is called.

    Args:
        config: the whole configuration.
        read_elsewhere: settings that are none of the constructor's, by the last part of the node's name.

    Raises:
        UserError: a setting has no value; a target does not exist, has no such parameter or not of this type.
    """
    for path, parent, key in walk(config):
        if OmegaConf.is_missing(parent, key):
            raise UserError(f"{path} has no value yet: set {path}=VALUE.")
    for path, parent, key in walk(config):
        if key == "_target_":
            node = path.removesuffix("._target_")
            _check_node(config, node, parent, read_elsewhere.get(node.rpartition(".")[2], ()))


def _check_node(config: DictConfig, path: str, node: DictConfig, foreign: Sequence[str]) -> None:
    target = target_of(path, node)
    accepted, takes_any = parameters(target)
    for key in map(str, node):
        if key in _FLAGS and not isinstance(node[key], bool):
            raise UserError(f"{path}.{key}={node[key]!r}: it must be true or false; leave it as it is.")
        if key in foreign or (key.startswith("_") and key.endswith("_")):
            continue
        if key in accepted:
            _check_type(config, f"{path}.{key}", node[key], accepted[key])
        elif not takes_any:
            remedy = f"; leave it out, by ~{path}.{key} where you did not type it."
            meant = did_you_mean(nearest(key, accepted), f"{path}.", remedy)
            raise UserError(f"{path}.{key}: {target.__name__} has no such setting{meant}{listed('It has', accepted)}")


def walk(node: DictConfig, prefix: str = "") -> Iterator[tuple[str, DictConfig, Any]]:
    """Full name, parent and key of every setting, outer ones first; not into what is taken from elsewhere."""
    keys: list[Any] = list(node)
    for key in keys:
        path = prefix + str(key)
        yield path, node, key
        if not OmegaConf.is_interpolation(node, key) and not OmegaConf.is_missing(node, key):
            value = node[key]
            if isinstance(value, DictConfig):
                yield from walk(value, f"{path}.")


def parameters(target: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """Annotation of each parameter by name, and whether others are taken as well.

    ``**settings: Unpack[...]`` are those of a `TypedDict`. Without that, ``**settings`` of one of our own classes go to
    its base; what other code does with its ``**kwargs`` is not known.
    """
    accepted: dict[str, Any] = {}
    for called in inspect.getmro(target) if inspect.isclass(target) else (target,):
        try:
            found = inspect.signature(called).parameters.values()
        except ValueError:  # written in C
            return accepted, True
        annotations = _annotations(called)
        for parameter in found:
            if get_origin(given := annotations.get(parameter.name)) is Unpack:
                return get_type_hints(get_args(given)[0]) | accepted, False
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                accepted.setdefault(parameter.name, annotations.get(parameter.name, Any))
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in found):
            return accepted, False
        if called.__module__.split(".")[0] != _OURS:
            break
    return accepted, True


def settable(node: DictConfig) -> list[str]:
    """Parameters of a node's target; none where it has no target, or one that cannot be imported."""
    try:
        return list(parameters(target_of("", node))[0]) if "_target_" in node else []
    except UserError:
        return []


def origin_of(config: DictConfig, path: str) -> str:
    """The setting that a setting takes its value from, through ``${...}``: there it has to be mended."""
    parent, _, key = path.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig) or not OmegaConf.is_interpolation(node, key):
        return path
    if key == "eps" and (radius_from := source_of_radius(node)) is not None:
        presets = isinstance(OmegaConf.select(config, radius_from), DictConfig)
        return f"{radius_from}.{node.norm}" if presets else origin_of(config, radius_from)
    raw = OmegaConf.to_container(node, resolve=False)
    assert isinstance(raw, dict)
    source = re.fullmatch(r"\$\{(?:oc\.select:)?(\w[\w.]*)(?:,\w*)?\}", raw[key])
    return origin_of(config, source[1]) if source else path


def target_of(path: str, node: DictConfig) -> Callable[..., Any]:
    """The class or function that the node at ``path`` names.

    Raises:
        UserError: it cannot be imported, or is neither.
    """
    name = str(node["_target_"])
    try:
        found = resolve_name(name)
    except AttributeError as error:
        meant = did_you_mean(nearest(error.name, dir(error.obj)), otherwise=".")
        raise UserError(f"{path}._target_={name}: {error}{meant}") from error
    except ModuleNotFoundError as error:
        outer = name.partition(".")[0]
        where = f" The folder of {outer}.py must be on PYTHONPATH." if error.name == outer else ""
        raise UserError(f"{path}._target_={name} cannot be imported: {error}.{where}") from error
    except Exception as error:  # whatever the import of somebody's module provokes
        raise UserError(f"{path}._target_={name} cannot be imported: {' '.join(str(error).split())}.") from error
    if not callable(found):
        raise UserError(f"{path}._target_={name}: it must be a class or a function.")
    return found


def _annotations(called: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(called.__init__ if inspect.isclass(called) else called)
    except (NameError, TypeError, AttributeError):  # names that are imported for type checkers only
        return {}


def _check_type(config: DictConfig, path: str, value: Any, annotation: Any) -> None:
    plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    if (isinstance(plain, dict) and "_target_" in plain) or fits(plain, annotation):
        return
    meant = did_you_mean(nearest(plain, names(annotation)), otherwise=".")
    raise UserError(f"{origin_of(config, path)}={plain!r}: it must be {describe(annotation)}{meant}")


def fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value is of an annotated type; True wherever that cannot be told."""
    arguments = get_args(annotation)
    if _is_union(annotation):
        return any(fits(value, member) for member in [member for member in arguments if _is_plain(member)] or arguments)
    if get_origin(annotation) is Literal:
        return value in arguments
    if annotation in (int, float):
        return isinstance(value, (int, annotation)) and not isinstance(value, bool)
    if annotation in _WORDS:
        return isinstance(value, annotation)
    if _is_class_below(annotation, Mapping):
        return isinstance(value, dict) and all(fits(item, arguments[1]) for item in value.values() if arguments)
    if _is_class_below(annotation, Sequence):
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value if arguments)
    return True


def describe(annotation: Any) -> str:
    """What a type is called in a message."""
    arguments = get_args(annotation)
    if _is_union(annotation):
        return " or ".join(dict.fromkeys(describe(member) for member in arguments if _is_plain(member)))
    if get_origin(annotation) is Literal:
        return f"one of: {', '.join(map(str, arguments))}"
    if annotation in _WORDS:
        return _WORDS[annotation]
    if _is_class_below(annotation, Mapping):
        return "{NAME: " + (describe(arguments[1]) if arguments else "VALUE") + "}"
    return "a list"


def names(annotation: Any) -> list[str]:
    """The texts that an annotation enumerates."""
    members = get_args(annotation) if _is_union(annotation) else [annotation]
    return [str(name) for member in members if get_origin(member) is Literal for name in get_args(member)]


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _is_plain(annotation: Any) -> bool:
    return (
        annotation in _WORDS
        or get_origin(annotation) is Literal
        or _is_class_below(annotation, Mapping)
        or _is_class_below(annotation, Sequence)
    )


def _is_class_below(annotation: Any, base: type) -> bool:
    origin = get_origin(annotation) or annotation
    return inspect.isclass(origin) and issubclass(origin, base)
