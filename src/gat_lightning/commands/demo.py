"""Demo: three models side by side on bundled data, ``python -m gat_lightning.demo [KEY=VALUE ...]``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from gat_lightning.commands.train.run import run as train
from gat_lightning.config.build import build_attack, build_data
from gat_lightning.config.checkpoint import load_classifier
from gat_lightning.config.command_line import quiet_lightning
from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.figures.strip import answers_under_attack
from gat_lightning.reporting.words import view_words
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import CLEAN, target_scores

MODELS = {
    "undefended": "quickstart_undefended",
    "adversarial training": "quickstart_adversarial",
    "GAT": "quickstart",
}


def run(overrides: Sequence[str], output: Path = Path("outputs/demo")) -> None:
    """Train an undefended model, single-task adversarial training and GAT; print a table and write a picture.

    Args:
        overrides: Hydra overrides for all three, such as ``trainer.max_epochs=1``.
        output: where the runs and ``demo.png`` go. Earlier runs there are replaced.
    """
    console = Console()
    register_resolvers()
    quiet_lightning()
    results, configs = {}, {}
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        for name, experiment in MODELS.items():
            directory = RunDirectory(output / experiment)
            typed = [f"experiment={experiment}", f"paths.run={directory.path}", *overrides]
            configs[name] = compose("train", typed)
            directory.hydra.mkdir(parents=True, exist_ok=True)  # as Hydra does it in a command
            OmegaConf.save(OmegaConf.create(typed), directory.hydra / "overrides.yaml")
            console.rule(f"{name} (experiment={experiment})")
            results[name] = train(configs[name])

    table = Table("model", "clean", "robust", "seconds", title="Test images, best checkpoint")
    for name, result in results.items():
        assert result is not None
        scores = result.metrics["best"]
        tested = target_scores(scores, "test")
        shown = [next(each for each in tested if (each.view == CLEAN) is clean) for clean in (True, False)]
        table.add_row(name, *(each.text(scores[str(each)]) for each in shown), f"{result.durations['total']:.0f}")
    console.rule()
    console.print(table)
    console.print(f"Picture: {_draw(configs, output / 'demo.png')}", soft_wrap=True)


def _draw(configs: Mapping[str, DictConfig], path: Path) -> Path:
    config = configs["GAT"]
    data = build_data(config)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    target = config.data.target
    models = {
        name: load_classifier(RunDirectory(settings.paths.run).checkpoint("best")) for name, settings in configs.items()
    }
    images, labels = batch.images[:8], batch.labels[target][:8]
    attack = build_attack(config, "test.attack")
    title = f"What each model answers to images attacked by {view_words(attack.name)}, ε = {attack.eps}"
    classes = data.info.labels[target].classes
    return answers_under_attack(models, images, labels, classes, attack, path, title=title)
