"""Labels of the settings of one table: the options in which they differ; other models by their files."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gat_lightning.reporting.options import Options, options
from gat_lightning.reporting.records import Record

BASE = "base setting"
_FIRST = ("task", "weighting", "method", "encoder")
_NAMED_IN_FULL = 2
_HARDLY_A_SETTING = ("paper.", "trainer.devices", "trainer.accelerator", "data.workers", "test.", "_")

_CODE = ("._target_", "._partial_")


@dataclass(frozen=True)
class Label:
    """Label of a setting.

    Attributes:
        text: short and unique: ``task=none``.
        words: every option in which the settings differ, with its value here.
        options: all options and other settings; empty for models that are not ours.
    """

    text: str
    words: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


def labels(settings: Sequence[Sequence[Record]]) -> list[Label]:
    """A label for each setting.

    If the settings differ in one or two options, every label names these. If they differ in more, a label names what is
    otherwise than in the setting that most others are closest to, and that one is the :data:`BASE`.

    Args:
        settings: the runs of each setting, which differ only in the seed; or evaluations of one model that is not ours.
    """
    first = [records[0] for records in settings]
    ours = iter(_of_trainings([record for record in first if not record.is_foreign]))
    trained = {id(record): next(ours) for record in first if not record.is_foreign}
    foreign = [record for record in first if record.is_foreign]
    theirs = iter(_of_models(foreign, settings, trained))
    return [trained[id(record)] if id(record) in trained else Label(next(theirs)) for record in first]


def _of_trainings(records: Sequence[Record]) -> list[Label]:
    if len(records) == 1:
        return [Label(str(records[0].configuration.get("name", "default")), {}, options(records[0].settings).chosen)]
    found = [options(record.settings) for record in records]
    names = _differing(found)
    tables = [_table(record, each, names, found) for record, each in zip(records, found, strict=True)]
    texts = [_words(table) for table in tables]
    if len(names) > _NAMED_IN_FULL:
        base = _closest_to_all(tables)
        texts = [
            _words(_otherwise(table, each, tables[base], found[base]))
            for table, each in zip(tables, found, strict=True)
        ]
    texts = _told_apart([text or BASE for text in texts], [record.settings for record in records])
    return [Label(text, table, each.chosen) for text, table, each in zip(texts, tables, found, strict=True)]


def _differing(found: Sequence[Options]) -> list[str]:
    """Names of the options that differ, and of the settings that follow others and differ within one option."""
    chosen = set().union(*(each.chosen for each in found))
    names = {name for name in chosen if len({each.chosen.get(name) for each in found}) > 1}
    for name in set().union(*(each.following for each in found)):
        node = name.rpartition(".")[0]
        values: dict[str | None, set[str]] = {}
        for each in found:
            if name in each.following:
                values.setdefault(each.chosen.get(node), set()).add(each.following[name])
        if node != "validation.attack" and any(len(different) > 1 for different in values.values()):
            names.add(name)
    meant = [name for name in names if not name.startswith(_HARDLY_A_SETTING) and not name.endswith(_CODE)]
    return sorted(meant, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def _table(record: Record, own: Options, names: Sequence[str], found: Sequence[Options]) -> dict[str, str]:
    """The setting's values of the names.

    What a component has from its option is there only if other runs with that option have another value.
    """
    values = {name: "none" if value == "{}" else value.strip('"') for name, value in record.settings.items()}
    values |= own.following | own.chosen
    told = [name for name in names if name in values and (name in own.chosen or _may_differ(name, own, found))]
    return {name: values[name].removeprefix("gat_lightning.") for name in told}


def _otherwise(table: dict[str, str], own: Options, base: dict[str, str], of_base: Options) -> dict[str, str]:
    """The values that differ from the base's; not what the option gives, if the base has another option."""
    return {
        name: value
        for name, value in table.items()
        if base.get(name) != value and (name in own.chosen or _node(name, own) == _node(name, of_base))
    }


def _node(name: str, found: Options) -> str | None:
    return found.chosen.get(name.rpartition(".")[0])


def _may_differ(name: str, own: Options, found: Sequence[Options]) -> bool:
    option = _node(name, own)
    return option is None or any(
        _node(name, each) == option and (name in each.chosen or name in own.following) for each in found
    )


def _closest_to_all(tables: Sequence[dict[str, str]]) -> int:
    def distance(one: dict[str, str]) -> int:
        return sum(one.get(name) != other.get(name) for other in tables for name in one.keys() | other.keys())

    return min(range(len(tables)), key=lambda number: distance(tables[number]))


def _of_models(models: Sequence[Record], settings: Sequence[Sequence[Record]], trained: dict[int, Label]) -> list[str]:
    """The models' trainings with their files, or their paths without common parent folders, or their functions."""
    if not models:
        return []
    paths = [model.result.config.get("checkpoint") for model in models]
    files = [Path(path).absolute() for path in paths if path is not None]
    folders = {
        record.directory.absolute(): trained[id(records[0])].text
        for records in settings
        for record in records
        if id(records[0]) in trained and not record.is_evaluation
    }
    everything = [record.directory.absolute().parent for records in settings for record in records]
    common = Path(os.path.commonpath([*files, *everything]))
    found = []
    for model, path in zip(models, paths, strict=True):
        if path is None:
            found.append(str(model.result.config["model"]["_target_"]).rpartition(".")[2])
            continue
        file = Path(path).absolute()
        home = next((folder for folder in folders if folder in file.parents), None)
        if home is not None:
            found.append(f"{folders[home]} ({file.relative_to(home)})")
        else:
            found.append(str(file.relative_to(common)) if common != Path(common.anchor) else path)
    return _told_apart(found, [model.settings for model in models])


def _told_apart(texts: Sequence[str], tables: Sequence[dict[str, str]]) -> list[str]:
    """The labels; equal ones are extended by the settings in which they differ."""
    found = list(texts)
    for text in [text for text, count in Counter(found).items() if count > 1]:
        same = [number for number, other in enumerate(found) if other == text]
        names = sorted(set().union(*(tables[number] for number in same)))
        more = [name for name in names if len({tables[number].get(name) for number in same}) > 1]
        for number in same:
            table = tables[number]
            values = {name: "none" if table[name] == "{}" else table[name].strip('"') for name in more if name in table}
            found[number] = f"{text} {_words(values)}".strip()
    return found


def _words(values: dict[str, str]) -> str:
    return " ".join(f"{name.removesuffix('._target_')}={value}" for name, value in values.items())
