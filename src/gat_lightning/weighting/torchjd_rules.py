"""TorchJD's weightings over a Gramian, by the names of their rules."""

import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from gat_lightning.errors import SettingError
from gat_lightning.nearest import did_you_mean, nearest
from gat_lightning.validate import is_real

_WRAPPER = "CRMOGM"
# TorchJD leaves it to the caller; 2 is that of the authors' script for CelebA.
_DEFAULTS: dict[str, dict[str, Any]] = {"FairGrad": {"alpha": 2.0}}


def make_rule(
    rule: str, arguments: Mapping[str, Any], names: Sequence[str] | None = None, inside: str = ""
) -> nn.Module:
    """A fresh weighting of TorchJD, ``gramian -> weights``.

    Args:
        rule: the name of its class without ``Weighting``.
        arguments: its constructor's. A vector is given as ``{OBJECTIVE: NUMBER}``, the ``weighting`` that CRMOGM wraps
            as the name of a rule or as ``{rule: NAME, arguments: {...}}``.
        names: names of the objectives, ``[K]``, for the vectors; those in the vectors themselves where there are none.
        inside: how messages begin, ``arguments.weighting.`` for a wrapped rule.

    Raises:
        SettingError: there is no such rule over a Gramian, or an argument does not fit it.
        ImportError: TorchJD is not installed, or something else that the rule needs.
    """
    rules = gramian_rules()
    if rule not in rules:
        raise SettingError(f"{inside}rule", rule, _refusal(rule, list(rules)))
    given = {**_DEFAULTS.get(rule, {}), **arguments}
    where = f"{inside}arguments"
    _check_arguments(where, rule, given, inspect.signature(rules[rule]).parameters)
    values = {key: _value(f"{where}.{key}", value, names) for key, value in given.items() if key != "weighting"}
    if "weighting" in given:
        inner = given["weighting"]
        nested: Any = {"rule": inner} if isinstance(inner, str) else inner
        if not isinstance(nested, Mapping) or not {"rule"} <= set(nested) <= {"rule", "arguments"}:
            raise SettingError(f"{where}.weighting", inner, "the name of a rule, or {rule: NAME, arguments: {...}}")
        values["weighting"] = make_rule(nested["rule"], nested.get("arguments") or {}, names, f"{where}.weighting.")
    return rules[rule](**values)


def gramian_rules() -> dict[str, type[nn.Module]]:
    """Classes of the rules that map a Gramian to weights, and of CRMOGM, which wraps one; by name."""
    aggregation = _aggregation()
    kinds = {name: getattr(aggregation, name) for name in aggregation.__all__ if name.endswith("Weighting")}
    rules = {name.removesuffix("Weighting"): kind for name, kind in kinds.items() if not inspect.isabstract(kind)}
    return {rule: kind for rule, kind in rules.items() if rule == _WRAPPER or _is_over_gramian(kind)}


def objectives_in(arguments: Mapping[str, Any]) -> set[str]:
    """The objectives that vectors among the arguments name."""
    found: set[str] = set()
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            found |= objectives_in(value.get("arguments") or {}) if key == "weighting" else set(value)
    return found


def _aggregation() -> ModuleType:
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise ImportError("Rules of TorchJD need an extra: pip install 'gat-lightning[torchjd]'") from error
    return aggregation


def _is_over_gramian(kind: type[nn.Module]) -> bool:
    """Whether TorchJD's base class for weightings over a Gramian, private or public, is among its bases."""
    return any(base.__name__.lstrip("_") == "GramianWeighting" for base in kind.__mro__)


def _refusal(rule: object, rules: list[str]) -> str:
    exported = _aggregation().__all__
    why = did_you_mean(nearest(rule, rules))
    if f"{rule}Weighting" in exported:
        why = f", since TorchJD's {rule} takes the Jacobian, not the Gramian"
    elif rule in exported and not str(rule).endswith("Weighting"):
        why = f", since TorchJD's {rule} has no weighting class"
    return f"one of: {', '.join(rules)}{why}"


def _check_arguments(
    where: str, rule: str, given: Mapping[str, Any], accepted: Mapping[str, inspect.Parameter]
) -> None:
    """See that TorchJD's constructor takes these arguments and wants no others."""
    unknown = [key for key in given if key not in accepted]
    if unknown:
        known = f"of {', '.join(accepted)}, which are those of TorchJD's {rule}" if accepted else f"empty for {rule}"
        raise SettingError(where, dict(given), f"{known}{did_you_mean(nearest(unknown[0], list(accepted)))}")
    missing = [key for key, each in accepted.items() if each.default is each.empty and key not in given]
    if missing:
        example = ", ".join(f"{key}: VALUE" for key in missing)
        right = f"set with what TorchJD's {rule} has no default for, {{{example}}}"
        raise SettingError(where, dict(given) or None, right)


def _value(name: str, value: Any, names: Sequence[str] | None) -> Any:
    """An argument as TorchJD takes it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    right = "a number, a word, or {OBJECTIVE: NUMBER} with a number for each objective"
    if not isinstance(value, Mapping) or not all(map(is_real, value.values())):
        raise SettingError(name, value, right)
    lacking = [objective for objective in names or () if objective not in value]
    if lacking:
        raise SettingError(name, dict(value), f"{right}, also for {', '.join(lacking)}")
    return torch.tensor([float(value[key]) for key in names or value], dtype=torch.float64)
