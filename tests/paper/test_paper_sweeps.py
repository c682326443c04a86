"""A sweep for each table: every cell has a run, and every run is valid at every scale."""

from typing import Any

import pytest
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError

from gat_lightning.config.build import build_test_attacks
from gat_lightning.config.check import check
from gat_lightning.config.files import find_conf
from gat_lightning.config.paper import SCALES, prepare_paper
from gat_lightning.errors import UserError
from gat_lightning.reporting.paper.published import published
from support.paper_sweeps import IDS, OWN, XRAYS, axes, composed, jobs


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
    assert tuning.optimizer.lr == 0.01
    assert "optimizer.lr=0.1" in tuning.pretraining
    assert tuning.attack.steps == tuning.test.attack.steps == 4
    assert tuning.test.also.pgd10.attack.steps == 10
    assert composed("table16", "recipe/case=wide_resnet70_16").trainer.max_epochs == 40
    assert composed("table17").method._target_.endswith("Standard")
    assert composed("table11", "recipe/case=gat_noreg").curvature.mode == "off"
    assert composed("table5", "recipe/source=robin").data._target_ == "gat_lightning.data.ROBIN"


def test_training_measures_all_of_table_8() -> None:
    table, tests = published("table8"), build_test_attacks(composed("table8"))
    measured = {f"test/{view}/accuracy" for view in ("clean", *tests)}
    assert {each.metric for each in (*table.columns, *table.rows) if each.metric} == measured
    assert table.evaluate is None
    assert not any("evaluation" in caveat for caveat in table.caveats)


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
