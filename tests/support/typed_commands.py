"""Commands composed and checked in this process, as the command line would."""

import warnings
from itertools import zip_longest

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gat_lightning.commands.evaluate import run as evaluate
from gat_lightning.commands.train import run as train
from gat_lightning.config.check import check
from gat_lightning.config.files import find_conf
from gat_lightning.config.label_tasks import check_label_tasks
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.config.typed_words import as_override
from gat_lightning.report import quoted
from support.documents import PAGES, commands_of

NAMES = {
    "gat_lightning.train": "train",
    "gat_lightning.evaluate": "evaluate",
    "gat_lightning.report": "report",
    "gat_lightning.compare": "compare",
    "gat_lightning.export": "export",
    "gat_lightning.data": "statistics",
}
"""Modules that are started, and their files under ``conf``."""

PREPARED = (train, evaluate)
"""Imported for the words that they make known to configurations."""


def composed(name, words):
    """Checked configurations of a command: one, or as many as let each value of a sweep but seeds be chosen once."""
    register_resolvers()
    swept = "-m" in words
    words = [_typed(name, word) for word in _with_folder(words) if word != "-m"]
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        if not swept:
            return [_composed(name, words)[0]]
        first, *others = _points(words)
        config, hydra = _composed(name, first)
        params = hydra.sweeper.get("params") or {}
        rows = [f"{key}={value}" for key, value in params.items() if not _given(words, key)]
        if rows:
            return [_composed(name, point)[0] for point in _points([*words, *rows])]
        return [config, *(_composed(name, point)[0] for point in others)]


def quietly(run, *arguments):
    """Without the warnings of other packages, which are errors in tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(*arguments)


def _with_folder(words):
    """``--config-dir FOLDER`` as the setting that ``compose`` takes."""
    if "--config-dir" not in words:
        return words
    before, after = words[: (place := words.index("--config-dir"))], words[place + 2 :]
    return [*before, f"hydra.searchpath=[file://{words[place + 1]}]", *after]


def _typed(name, word):
    """What the command makes of a word before Hydra sees it."""
    word = as_override(word)
    if name == "report":
        return quoted(word)
    return f"++{word}" if name == "evaluate" and word.startswith(("model.", "data.")) else word


def _points(words):
    """The words with one value for each that has several; the n-th of every one together."""
    parsed = OverridesParser.create().parse_overrides(words)
    columns = []
    for each in parsed:
        values = _values(each) if each.is_sweep_override() else [None]
        values = values[:1] if each.get_key_element() == "seed" else values
        columns.append([each.input_line if value is None else f"{each.get_key_element()}={value}" for value in values])
    for row in zip_longest(*columns):
        yield [value if value is not None else column[-1] for value, column in zip(row, columns, strict=True)]


def _values(override):
    """The values of a sweep; of an interval its lower end."""
    if override.is_interval_sweep():
        return [str(override.value().start)]
    return list(override.sweep_string_iterator())


def _composed(name, words):
    """A checked configuration, and Hydra's own."""
    directory = ["paths.run=/nowhere"] if name in ("train", "evaluate") and not _given(words, "paths.run") else []
    config = compose(name, [*words, *directory], return_hydra_config=True)
    hydra = config.hydra
    OmegaConf.to_container(hydra.launcher, resolve=True)
    plain = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    check_label_tasks(plain)
    check(plain)
    return plain, hydra


def _given(words, key):
    return any(word.partition("=")[0] == key for word in words)


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands_of(page)))
OURS = [command for command in COMMANDS if command.words[:2] == ("python", "-m") and command.words[2] in NAMES]
TINY = {
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.limit_train_batches": 1,
    "trainer.limit_val_batches": 1,
    "trainer.limit_test_batches": 1,
    "trainer.overfit_batches": 0,
    "validation.every": 1,
    "data.batch_size": 8,
    "data.workers": 0,
    "data.size": 32,
    "attack.steps": 1,
    "validation.attack.steps": 1,
    "test.attack.steps": 1,
    "method.steps": 1,
    "encoder.width": 4,
}
"""What makes a training short; settings that it does not have are left out."""


def shorten(config):
    for path, value in TINY.items():
        node, _, key = path.rpartition(".")
        parent = config
        for part in node.split("."):
            parent = parent.get(part) if parent is not None else None
        fits = path != "encoder.width" or config.init is None  # of RUN
        if fits and parent is not None and (key in parent or node == "trainer"):
            parent._set_flag("struct", False)
            parent[key] = value
    config.data.fraction = min(config.data.fraction, 0.5)
