"""The search space of an Optuna study, from Hydra's sweep syntax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from gat_lightning.errors import UserError
from gat_lightning.runs.directory import is_of_the_run, setting_of

if TYPE_CHECKING:  # an extra, and slow to import
    from optuna import Study
    from optuna.distributions import BaseDistribution


Direction: TypeAlias = Literal["minimize", "maximize"]


class SearchSpace:
    """Settings that are searched over, and those that all trials have.

    Args:
        loader: Hydra's.
        overrides: as typed: ``KEY=VALUE`` is for all trials; ``KEY=interval(LOW, HIGH)``, ``int(interval(LOW, HIGH))``,
            with ``tag(log, ...)`` around it on a logarithmic scale, ``KEY=A,B,C``, ``choice(A, B, C)`` and
            ``range(START, STOP, STEP)`` are searched over. Of one key the last counts.

    Attributes:
        fixed: the overrides for all trials.
        searched: the others, by key.
        distributions: theirs.

    Raises:
        UserError: Optuna is not installed, nothing is searched over, or a range is empty.
    """

    def __init__(self, loader: ConfigLoader, overrides: Sequence[str]) -> None:
        if find_spec("optuna") is None:
            raise UserError("hydra/sweeper=optuna needs an extra: pip install 'gat-lightning[sweep]'")
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        last = {each.get_key_element(): each for each in parsed}
        self.fixed = [str(each.input_line) for each in last.values() if not each.is_sweep_override()]
        self.searched = {key: str(each.input_line) for key, each in last.items() if each.is_sweep_override()}
        self.distributions = {key: _distribution(last[key]) for key in self.searched}
        if not self.searched:
            raise UserError(
                "hydra/sweeper=optuna has nothing to search over: give a setting a range, as in"
                " 'optimizer.lr=tag(log, interval(0.01, 1))', or choices, as in task=none,macro."
            )

    def point(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial with these values of what is searched over."""
        return [*self.fixed, *words(values)]

    def examples(self) -> Iterator[list[str]]:
        """Points in which each choice occurs."""
        first = {key: _values(each)[0] for key, each in self.distributions.items()}
        yield self.point(first)
        for key, each in self.distributions.items():
            yield from (self.point({**first, key: value}) for value in _values(each)[1:])


def words(values: Mapping[str, Any]) -> list[str]:
    """Values as overrides."""
    return [f"{key}={value}" for key, value in values.items()]


def load_study(folder: str, direction: Direction, metric: str, space: SearchSpace) -> Study:
    """The Optuna study that is kept in a folder, or a new one.

    Args:
        folder: of the study.
        direction: whether higher or lower is better.
        metric: what is optimised.
        space: that the trials are drawn from.

    Raises:
        UserError: the study that is kept there is of other settings.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(Path(folder, "journal.log"))))
    study = optuna.create_study(storage=storage, study_name="study", direction=direction, load_if_exists=True)
    fixed = [word for word in space.fixed if is_of_the_run(setting_of(word))]
    searched = [*fixed, *space.searched.values(), f"optimized_metric={metric}", f"hydra.sweeper.direction={direction}"]
    known = study.user_attrs.get("searched", searched)
    if known != searched:
        raise UserError(
            f"The study in '{folder}' is of other settings: {' '.join(known)}. Give this one a folder of its own by"
            " hydra.sweeper.study=FOLDER, or delete that one."
        )
    study.set_user_attr("searched", searched)
    return study


def _distribution(override: Override) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    try:
        if override.is_discrete_sweep():
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        interval: Any = override.value()
        kind = IntDistribution if isinstance(interval.start, int) else FloatDistribution
        return kind(interval.start, interval.end, log="log" in interval.tags)
    except ValueError as error:
        raise UserError(f"{override.input_line}: {error}") from error


def _values(distribution: Any) -> Sequence[Any]:
    """All choices, or the lower end of an interval."""
    return getattr(distribution, "choices", None) or (distribution.low,)
