"""The paper as experiments: its numbers, a sweep for each table, and what a run would cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError

from gat_lightning.assembly import find_conf
from gat_lightning.configuration import check
from gat_lightning.errors import UserError
from gat_lightning.paper import SCALES, prepare_paper, published, published_ids
from gat_lightning.paper.cost import count_steps, measure
from gat_lightning.paper.published import parse
from gat_lightning.run_directory import register_resolvers
from gat_lightning.train import run

IDS = published_ids()
OWN = [name for name in IDS if len(published(name).tables) == 1]
XRAYS = ("table10", "figure4", "figure6")
NO_ROW = ("seed", "recipe/stand_in")


@pytest.fixture(autouse=True)
def hydra_context() -> Iterator[None]:
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        yield
    HydraConfig.instance().cfg = None


def composed(table: str, *overrides: str, **settings: Any) -> DictConfig:
    words = [f"experiment=paper/{table}", "paths.run=run", *(["data.root=."] if table in XRAYS else []), *overrides]
    return compose("train", words, **settings)


def axes(table: str) -> dict[str, list[str]]:
    """The keys that tell the sweep's rows apart, with their values."""
    content = OmegaConf.load(find_conf() / "experiment" / "paper" / f"{table}.yaml")
    assert isinstance(content, DictConfig)
    first = content.defaults[0]
    found = axes(first.removeprefix("paper/")) if first.startswith("paper/") else {}
    params = OmegaConf.select(content, "hydra.sweeper.params", default={})
    return found | {str(key): params[key].split(",") for key in params if key not in NO_ROW}


def jobs(table: str) -> list[set[str]]:
    grid = axes(table)
    return [{f"{key}={value}" for key, value in zip(grid, each, strict=True)} for each in product(*grid.values())]


def numbers(table: str, row: str) -> list[str | None]:
    (found,) = (each for each in published(table).rows if each.name == row)
    return [None if cell is None else cell.text for cell in found.cells]


def test_there_are_numbers_of_every_table_and_figure_with_results() -> None:
    tables = [f"table{number}" for number in (*range(1, 6), *range(8, 18))]
    assert [f"figure{number}" for number in (1, 3, 4, 5, 6)] + tables == IDS
    for name in IDS:
        table = published(name)
        assert table.id == name
        assert table.caveats
        assert all(len(row.cells) == len(table.columns) for row in table.rows)
        assert len({row.name for row in table.rows}) == len(table.rows)


def test_numbers_that_the_paper_prints_more_than_once_agree() -> None:
    robust, clean = numbers("table1", "None")[:4], numbers("table1", "None")[4:]
    single = [f"{each}".partition("±")[0] for each in (*clean, *robust)]  # none, jigsaw, macro, rotation
    assert numbers("table2", "Macro Task + MGDA (Ours)") == [single[2], single[6]]
    for place, name in ((1, "Jigsaw"), (2, "Macro"), (3, "Rotation")):
        assert numbers("table3", f"Main only / {name}") == [single[place], single[4 + place]]
        assert numbers("table15", f"Target + {name}") == [single[4 + place]]
    assert numbers("table11", "GAT [Ours]") == [single[6], single[2]]
    assert numbers("table11", "Madry Adversarial Training (Madry et al., 2017b)") == [single[4], single[0]]
    assert numbers("table5", "CIFAR10 / No auxiliary") == [single[0], single[4]]
    assert numbers("table12", "T_2: Goodfellow AT") == numbers("table13", "T_2 / Equal")
    assert numbers("table12", "T_1: Standard training") == numbers("table13", "T_1 / Equal")
    assert numbers("table16", "CIFAR-10 / 100% Dataset") == numbers("table4", "AutoAttack")


def test_figures_repeat_their_tables() -> None:
    assert published("figure3").rows == published("table11").rows
    assert published("figure5").rows == published("table15").rows
    assert [row.name.split(" / ")[0] for row in published("figure4").rows] == ["Atelectasis"] * 7 + ["Edema"] * 7
    assert all(row in published("table10").rows for row in published("figure4").rows)


def test_a_number_keeps_its_digits_and_its_spread() -> None:
    cell = published("table1").rows[1].cells[5]
    assert cell is not None
    assert (cell.text, cell.value, cell.spread) == ("60.53±1.10", 60.53, 1.1)
    assert numbers("table13", "T_1 / GAT [Ours]") == ["41.65", "93.89", "70.26", "0.00", "0.24", "4.33"]


HEAD = 'id: x\ntitle: t\ndata: d\ncolumns: [{name: c, unit: "%"}]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "rows: [{name: r, cells: [1, 2]}]", "row r: 2 cells, and 1 columns"),
        (HEAD + "rows: [{name: r, cells: [much]}]", "row r: 'much' is no number"),
        (HEAD + "rows: [{name: r, cells: [nan]}]", "'nan' is not finite"),
        (HEAD + "rows: [{name: r, cells: [1], setings: []}]", "unknown keys setings"),
        (HEAD + "rows: []", "no rows"),
        ("id: y\n", "its id is y"),
        ("id: x\ntitle: t\nsame_as: table10\nrows: [Fracture]\n", "no row of table10 begins with Fracture"),
    ],
)
def test_damaged_numbers_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text, "x")


@pytest.mark.parametrize("name", IDS)
def test_the_sweep_makes_a_run_for_every_cell_and_no_others(name: str) -> None:
    table, made = published(name), jobs(name)
    for row in table.rows:
        for column in table.columns:
            needed = [set(row.settings), set(column.settings)] if "task=none" in row.settings else []
            needed = needed if column.measure else [{*row.settings, *column.settings}]
            for words in filter(None, needed):
                assert any(words <= job for job in made), f"{row.name}, {column.name}"
    assert all(job & table.settings for job in made)
    assert len(set(map(frozenset, made))) == len(made)


def resolved_run(name: str, place: int, scale: str) -> dict[str, Any]:
    """The run with the value at this place of each axis, from the front again where the axis is shorter; checked."""
    words = [f"{key}={values[place % len(values)]}" for key, values in axes(name).items()]
    if scale == "smoke" and name not in XRAYS:
        words.append("recipe/stand_in=digits")
    config = composed(name, f"paper.scale={scale}", *words)
    check(config)
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    assert resolved["name"] == resolved["paper"]["table"] == name
    return {str(key): value for key, value in resolved.items()}


@pytest.mark.parametrize("name", IDS)
def test_the_first_run_of_every_table_is_valid(name: str) -> None:
    resolved_run(name, 0, "full")


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", OWN)
def test_every_value_of_every_axis_makes_a_valid_run(name: str, scale: str) -> None:
    for place in range(max(map(len, axes(name).values()))):
        resolved = resolved_run(name, place, scale)
        smoke = scale == "smoke"
        assert (resolved["trainer"]["max_epochs"] == 1) == smoke
        assert (resolved["encoder"]["_target_"].endswith("preact_resnet_small")) == smoke
        assert (resolved["data"]["_target_"] == "gat_lightning.data.Digits") == (smoke and name not in XRAYS)


@pytest.mark.parametrize("name", [name for name in OWN if name not in XRAYS])
def test_a_smoke_sweep_takes_the_digits(name: str) -> None:
    """Since the sweep, and nothing else, sets what stands in for data that would have to be fetched."""
    content = OmegaConf.load(find_conf() / "experiment" / "paper" / f"{name}.yaml")
    params = OmegaConf.select(content, "hydra.sweeper.params")
    assert list(params)[-1] == "recipe/stand_in"
    for scale, choice in zip(SCALES, ("none", "none", "digits"), strict=True):
        content["paper"]["scale"] = scale
        assert params["recipe/stand_in"] == choice


def test_other_data_and_their_settings_give_way_to_the_digits() -> None:
    for words in (["recipe/source=robin", "recipe/case=depth"], ["recipe/source=cifar10", "recipe/case=plain"]):
        config = composed("table5", "paper.scale=smoke", "recipe/stand_in=digits", *words)
        data, epochs = config.data, config.trainer.max_epochs
        assert (data._target_, epochs, data.eps) == ("gat_lightning.data.Digits", 1, 0.15)
        assert "root" not in data
        assert f"recipe/source={config.paper.data}" == words[0]


def test_budgets_of_the_paper() -> None:
    ablation, tuning = composed("table2"), composed("table8")
    assert (ablation.trainer.max_epochs, composed("table10").trainer.max_epochs) == (400, 200)
    assert ablation.test.attack.steps == ablation.attack.steps == 10
    assert "trainer.max_epochs=200" in tuning.pretraining
    assert tuning.attack.steps == tuning.test.attack.steps == 4
    assert tuning.test.also.pgd10.attack.steps == 10
    assert composed("table16", "recipe/case=wide_resnet70_16").trainer.max_epochs == 40
    assert composed("table17").method._target_.endswith("Standard")
    assert composed("table11", "recipe/case=gat_noreg").curvature.mode == "off"
    assert composed("table5", "recipe/source=robin").data._target_ == "gat_lightning.data.ROBIN"


def test_a_scale_that_does_not_exist_is_refused() -> None:
    config = composed("table2", "paper.scale=tiny")
    with pytest.raises(InterpolationResolutionError, match=r"paper\.scale=tiny: it must be one of: full, small, smoke"):
        OmegaConf.to_container(config, resolve=True)
    with pytest.raises(UserError, match="one of: full, small, smoke"):
        prepare_paper(compose("train", ["data=digits", "paths.run=run", "paper.scale=tiny"]))


def started(mode: RunMode, table: str, *words: str) -> DictConfig:
    """A configuration with Hydra in the state in which it runs a job."""
    config = composed(table, *words, return_hydra_config=True)
    with open_dict(config):
        config.hydra.mode = mode
        config.hydra.overrides.task = [f"experiment=paper/{table}", *words]
    HydraConfig.instance().set_config(config)
    return config


def test_a_table_without_m_is_refused_with_the_right_command() -> None:
    with pytest.raises(UserError, match=r"train -m experiment=paper/table2 paper\.scale=smoke"):
        prepare_paper(started(RunMode.RUN, "table2"))
    prepare_paper(started(RunMode.MULTIRUN, "table2"))


def test_a_row_is_known_by_the_words_that_tell_it_apart() -> None:
    config = started(RunMode.MULTIRUN, "table13", "weighting=mgda", "task=macro", "method=standard", "seed=3")
    prepare_paper(config)
    assert set(config.paper.row) == {"weighting=mgda", "task=macro", "method=standard"}
    assert set(config.paper.row) <= published("table13").settings


@pytest.mark.parametrize(("case", "name"), [("unlabeled", "extra"), ("ddpm", "generated")])
def test_a_row_that_lacks_its_file_is_refused(case: str, name: str) -> None:
    config = composed("table11", f"recipe/case={case}")
    with pytest.raises(UserError, match=rf"needs .* images .*: set paper\.{name}=PATH"):
        prepare_paper(config)
    config.paper[name] = "some.npz"
    prepare_paper(config)
    assert config.data.extra == "some.npz"


CHEAP = (
    "paper.scale=smoke",
    "recipe/stand_in=digits",
    "trainer.accelerator=cpu",
    "data.batch_size=16",
    "validation.images=16",
    "attack.steps=3",
)


@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_the_cost_counts_the_passes_that_are_made() -> None:
    config = composed("table2", *CHEAP, "trainer.max_epochs=40", "task=macro+rotation", "data.fraction=0.2")
    cost = measure(config, "job")
    assert cost.attack_passes == 3
    assert cost.forward_passes == 2
    assert (cost.objectives, cost.curvature) == (3 + 2, 2)
    images = round(0.9 * 0.2 * (1797 - 360))
    assert cost.steps == 40 * -(-images // 16) or cost.steps == 40 * -(-(images + 1) // 16)
    assert cost.training_hours == pytest.approx(cost.steps * cost.step_seconds / 3600)
    assert cost.scoring_hours > 0
    assert cost.hours == cost.training_hours + cost.scoring_hours


@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_replays_and_missing_attacks_are_counted() -> None:
    overrides = (*CHEAP, "task=none", "trainer.max_epochs=1")
    standard = measure(composed("table17", *overrides), "job")
    assert (standard.attack_passes, standard.forward_passes, standard.objectives) == (0, 1, 1)
    free = measure(composed("table17", *overrides, "method=free", "method.replays=4"), "job")
    assert free.objectives == 4
    assert free.attack_passes + free.forward_passes >= 4


def test_steps_follow_from_epochs_and_limits() -> None:
    def steps(*overrides: str) -> int:
        return count_steps(compose("train", ["data=digits", "paths.run=run", "trainer.max_epochs=3", *overrides]), 10)

    assert steps() == 30
    assert steps("+trainer.limit_train_batches=4") == 12
    assert steps("+trainer.limit_train_batches=0.5") == 15
    assert steps("+trainer.max_steps=7") == 7


@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_a_dry_run_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "mine.txt").write_text("kept")
    config = compose(
        "train", ["experiment=quickstart", *CHEAP[2:], "task=none", f"paths.run={tmp_path}", "paper.dry_run=true"]
    )
    (cost,) = run(config)["costs"]
    assert cost["steps"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    shown = capsys.readouterr().out
    assert "nothing was trained" in shown
    numbers = {name: value.strip() for name, value in re.findall(r"│ ([a-z ]+?) +│ (\S+) +│", shown)}
    assert numbers["steps"] == f"{cost['steps']:,}"
    assert numbers["hours of training"] == f"{cost['training_hours']:.3g}"
    assert numbers["hours of scoring"] == f"{cost['scoring_hours']:.3g}"


SHORTER = {
    "table1": ["task=none,macro", "seed=0"],
    "table4": ["task=none,macro"],
    "table8": ["task=macro"],
    "table9": ["task=none,macro"],
    "table12": ["task=macro"],
    "table13": ["task=macro"],
    "table16": ["task=macro"],
    "figure1": ["task=macro"],
    "table10": ["data.target=edema"],
    "figure6": ["data.target=atelectasis"],
}
"""Fewer values of an axis, where the others show all that can go wrong."""


def command(folder: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", f"gat_lightning.{module}", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)


@pytest.fixture
def xrays(tmp_path: Path) -> dict[str, Path]:
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    sys.path.insert(0, str(Path(__file__).parent / "data"))
    from xray_folders import chexpert_folder, nih_folder

    return {"table10": chexpert_folder(tmp_path / "chexpert"), "figure6": nih_folder(tmp_path / "nih")}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_a_smoke_sweep_fills_the_table(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (64, 8, 8), dtype=np.uint8), generator.integers(0, 10, 64)
    np.savez(tmp_path / "extra.npz", image=images, label=labels)
    files = [f"paper.{key}={tmp_path / 'extra.npz'}" for key in ("extra", "generated")]
    root = [f"data.root={request.getfixturevalue('xrays')[name]}"] if name in XRAYS else []
    words = ["-m", f"experiment=paper/{name}", "paper.scale=smoke", "trainer.accelerator=cpu"]
    done = command(tmp_path, "train", *words, *SHORTER.get(name, []), *files, *root)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    results = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/result.json")]
    assert results
    for result in results:
        assert result["status"] == "finished"
        paper = result["config"]["paper"]
        assert (paper["table"], paper["scale"]) == (name, "smoke")
        assert [word.partition("=")[0] for word in paper["row"]] == list(axes(name))
    assert len({tuple(result["config"]["paper"]["row"]) for result in results}) == len(results)
    report = command(tmp_path, "report", "runs=outputs", f"paper={name}")
    assert report.returncode == 0, report.stderr
    text = (tmp_path / "report" / "published.md").read_text(encoding="utf-8")
    trained_alone = name not in ("table16", "table17", "figure1")
    assert ("smoke: not comparable" in text) == trained_alone or name == "table14"


@pytest.mark.slow
def test_the_command_without_m_says_that_it_is_a_sweep(tmp_path: Path) -> None:
    done = command(tmp_path, "train", "experiment=paper/table2", "paper.scale=smoke")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: experiment=paper/table2 is a sweep")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_dry_sweep_prints_a_table_for_each_job_and_trains_nothing(tmp_path: Path) -> None:
    words = ["-m", "experiment=paper/table8", "task=none", "data.fraction=0.1", "paper.dry_run=true"]
    done = command(tmp_path, "train", *words, "paper.scale=smoke", "trainer.accelerator=cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("nothing was trained") == 2  # the fine-tuning, and the training before it
    assert "The 2 trainings so far" in done.stdout
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"multirun.yaml"}
