"""Labels of settings in a report: their overrides or their differences; other models by file."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gat_lightning.reporting.presets import with_presets
from gat_lightning.reporting.records import Record

_NOT_IN_A_LABEL = (
    "seed=", "name=", "paths.", "hydra", "logger=", "resume=", "skip_finished=", "optimized_metric=",
    "trainer.devices=", "trainer.accelerator=",
)  # fmt: skip


def label(settings: Sequence[Sequence[Record]]) -> list[str]:
    """Unique labels of settings.

    Args:
        settings: the runs of each setting, which differ only in the seed; or evaluations of one model that is not ours.
    """
    trained = [records for records in settings if not records[0].is_foreign]
    foreign = [records[0] for records in settings if records[0].is_foreign]
    everything = [record for records in settings for record in records]
    ours, theirs = iter(_of_trainings(trained)), iter(_of_models(foreign, everything))
    return [next(theirs) if records[0].is_foreign else next(ours) for records in settings]


def _of_trainings(settings: Sequence[Sequence[Record]]) -> list[str]:
    typed = [_typed(records) for records in settings]
    labels = ["" for _ in settings]
    if all(words is not None for words in typed):
        words = [[word for word in each or () if not word.startswith(_NOT_IN_A_LABEL)] for each in typed]
        common = set(words[0]).intersection(*words) if words else set()
        labels = [" ".join(word for word in each if word not in common) for each in words]
    if len(set(labels)) < len(labels):
        labels = _by_settings([with_presets(records[0].settings) for records in settings])
    names = [str(records[0].configuration.get("name", "default")) for records in settings]
    return [text or name for text, name in zip(labels, names, strict=True)]


def _typed(records: Sequence[Record]) -> tuple[str, ...] | None:
    return next((record.overrides for record in records if record.overrides is not None), None)


def _of_models(models: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """Paths of the models' files without common parent folders, or the functions that create them."""
    if not models:
        return []
    paths = [model.result.config.get("checkpoint") for model in models]
    files = [Path(path).absolute() for path in paths if path is not None]
    common = Path(os.path.commonpath([*files, *(record.directory.absolute().parent for record in records)]))
    inside = common != Path(common.anchor)
    labels = []
    for model, path in zip(models, paths, strict=True):
        if path is None:
            labels.append(str(model.result.config["model"]["_target_"]).rpartition(".")[2])
        else:
            labels.append(str(Path(path).absolute().relative_to(common)) if inside else path)
    return _told_apart(labels, [model.settings for model in models])


def _by_settings(tables: Sequence[dict[str, str]]) -> list[str]:
    """Labels of the differing settings; of a differing component only its name, if that distinguishes the settings."""
    different = _different(tables)
    components = {name.removesuffix("._target_") for name in different if name.endswith("._target_")}
    shown = [name for name in different if name.endswith("._target_") or not _inside(name, components)]
    return _told_apart([_words(table, shown) for table in tables], tables)


def _told_apart(texts: Sequence[str], tables: Sequence[dict[str, str]]) -> list[str]:
    """The labels; equal ones are extended by the settings in which they differ."""
    labels = list(texts)
    for text in [text for text, count in Counter(labels).items() if count > 1]:
        same = [number for number, other in enumerate(labels) if other == text]
        more = _different([tables[number] for number in same])
        for number in same:
            labels[number] = f"{text} {_words(tables[number], more)}".strip()
    return labels


def _different(tables: Sequence[dict[str, str]]) -> list[str]:
    """Names of the settings that differ."""
    names = sorted(set().union(*tables))
    return [name for name in names if len({table.get(name) for table in tables}) > 1]


def _inside(name: str, components: set[str]) -> bool:
    return any(name.startswith(f"{part}.") for part in components)


def _words(table: dict[str, str], names: Sequence[str]) -> str:
    words = []
    for name in (name for name in names if name in table):
        value = "none" if table[name] == "{}" else table[name].strip('"')
        component = name.endswith("._target_")
        words.append(f"{name.removesuffix('._target_')}={value.rpartition('.')[2] if component else value}")
    return " ".join(words)
