import importlib
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gat_lightning.config.build import build_test_attacks
from gat_lightning.config.files import find_conf, plain
from gat_lightning.config.messages import explain
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.runs.directory import auto_name, run_name
from gat_lightning.runs.hashing import configuration_hash

CONF = find_conf()


@pytest.fixture(autouse=True)
def hydra_context():
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


def composed(*overrides):
    return compose("train", ["paths.run=run", *overrides])


@pytest.mark.parametrize("choice", ["rotation+macro", "jigsaw+macro+rotation", "none"])
def test_tasks_join_in_the_order_given(choice):
    expected = [] if choice == "none" else choice.split("+")
    assert list(composed(f"task={choice}").task) == expected


def test_plus_works_for_other_groups_and_inside_experiments():
    assert "early_stopping" in composed("callbacks=default+early_stopping").callbacks
    assert list(composed("experiment=quickstart").task) == ["macro", "rotation"]
    assert list(composed("experiment=quickstart", "task=rotation+jigsaw").task) == ["rotation", "jigsaw"]


def test_choices_keep_the_sum():
    config = compose("train", ["task=macro+rotation", "paths.run=run"], return_hydra_config=True)
    assert config.hydra.runtime.choices.task == "macro+rotation"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("logger=csv+wandbb", "logger/wandbb"),
        ("task=macro+macro", "names macro more than once"),
        ("method=mardy", "method/mardy"),
    ],
)
def test_wrong_sums_are_named(override, message):
    with pytest.raises(ConfigCompositionException) as caught:
        composed(override)
    error, texts = caught.value, []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    assert message in " ".join(texts)


def test_defaults_are_the_papers():
    config = composed()
    assert plain(config)["data"]["eps"] == {"Linf": "8/255", "L2": "128/255", "L1": 12}
    assert config.attack.eps == config.validation.attack.eps == config.test.attack.eps == "8/255"
    assert config.encoder._target_.endswith("preact_resnet50")
    assert (config.attack._target_.rsplit(".")[-1], config.attack.steps, config.attack.norm) == ("PGD", 10, "Linf")
    assert (config.optimizer.lr, config.optimizer.momentum, config.optimizer.weight_decay) == (0.1, 0.9, 5e-4)
    assert config.schedule._target_.endswith("cosine")
    assert config.trainer.max_epochs == 400
    assert config.method.pairing == "combined"
    assert config.test.attack.steps == 20
    assert config.data.views == "shared"


def options(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


OPTIONS = {
    group: options(group)
    for group in ("data", "augment", "encoder", "method", "attack", "weighting", "schedule", "optimizer")
}


@pytest.mark.parametrize("turn", range(max(map(len, OPTIONS.values()))))
def test_every_option_resolves_and_names_something_that_can_be_made(turn):
    """One option of every group at a time, until all have had their turn."""
    choices = {group: names[turn % len(names)] for group, names in OPTIONS.items()}
    config = composed(*(f"{group}={option}" for group, option in choices.items()))
    plain = OmegaConf.to_container(config, resolve=True)
    for group in OPTIONS.keys() - {"data"}:
        instantiate({key: value for key, value in plain[group].items() if key != "tasks"})


def test_every_task_can_be_made():
    names = [name for name in options("task") if name != "none"]
    config = composed("data=digits", f"task={'+'.join(names)}")
    OmegaConf.to_container(config, resolve=True)
    assert [instantiate(task).name for task in config.task.values()] == list(config.task) == names


def test_every_setting_is_explained():
    """Each key of the groups that users type has a comment above it or in the file's head."""
    for group in ("data", "attack", "weighting", "method"):
        for path in (CONF / group).glob("*.yaml"):
            lines = path.read_text().splitlines()
            assert lines[0].startswith("#"), path
            for number, line in enumerate(lines):
                key = line.split(":")[0]
                if line[:1] not in (" ", "#", "") and key not in ("_target_", "defaults"):
                    assert lines[number - 1].lstrip().startswith("#"), f"{path.name}: {key}"


def test_the_hash_follows_the_settings_but_not_the_paths(tmp_path):
    base = composed("data=digits")
    elsewhere = composed("data=digits", "paths.output=elsewhere", f"paths.data={tmp_path}", "debug='true'")
    assert configuration_hash(base) == configuration_hash(elsewhere)
    for setting, value in (("seed", 1), ("attack.eps", 0.1), ("trainer.max_epochs", 3)):
        other = base.copy()
        OmegaConf.update(other, setting, value)
        assert configuration_hash(base) != configuration_hash(other)


def test_a_finished_run_is_never_overwritten(tmp_path):
    config = composed("data=digits", "name=mine", f"paths.output={tmp_path}")
    first = run_name(config)
    assert first == f"mine-{configuration_hash(config)}"
    (tmp_path / first).mkdir()
    (tmp_path / first / "result.json").write_text('{"status": "interrupted"}')
    assert run_name(config) == first
    (tmp_path / first / "result.json").write_text('{"status": "finished"}')
    assert run_name(config) == f"{first}-2"


def test_automatic_names():
    assert auto_name("gat_lightning.data.CIFAR10", ["macro", "rotation"]) == "cifar10-macro+rotation"
    assert auto_name("digits", []) == "digits-none"
    assert composed("data=digits", "task=rotation").name == "digits-rotation"


def test_the_configuration_is_where_the_package_looks_for_it():
    assert (CONF / "train.yaml").is_file()
    assert Path(CONF).is_absolute()


def test_fine_tuning_begins_with_the_learning_rate_of_a_training_from_scratch():
    tuning = composed("experiment=fine_tuning")
    assert tuning.optimizer.lr == 0.01
    assert f"optimizer.lr={composed().optimizer.lr}" in tuning.pretraining


def test_further_test_attacks_keep_the_names_that_they_are_given():
    config = composed("data=digits", "+attack@test.also.large.attack=pgd", "test.also.large.attack.eps=0.3")
    config.test.also.large.attack.steps = config.test.attack.steps
    attacks = build_test_attacks(config)
    assert {name: attack.eps for name, attack in attacks.items()} == {"pgd20": 0.15, "large": 0.3}


def test_hydra_may_import_its_plugins_again():
    for _ in range(3):
        importlib.reload(importlib.import_module("hydra_plugins.gat_lightning_delete"))
    assert "weights" not in composed("encoder=torchvision", "~encoder.weights").encoder


def test_a_setting_that_is_null_can_be_removed():
    config = composed("encoder=torchvision", "~encoder.weights", "~encoder.mean", "~init")
    assert {*config.encoder} == {"_target_", "_partial_", "name", "pretrained", "std"}
    assert "init" not in config
    config = composed("encoder=torchvision", "encoder.name=null", "~encoder.name", "~encoder.pretrained=false")
    assert {*config.encoder} == {"_target_", "_partial_", "weights", "mean", "std"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("~encoder.wieghts", "'encoder.wieghts' does not exist"),
        ("~encoder.weights=FILE", "Could not delete"),
        ("~nothing.weights", "'nothing.weights' does not exist"),
        ("~encoder.pretrained=true", "is False and not True"),
    ],
)
def test_what_cannot_be_removed_is_still_refused(override, message):
    with pytest.raises(ConfigCompositionException, match=message):
        composed("encoder=torchvision", override)


@pytest.mark.parametrize(
    ("command", "override", "owners"),
    [
        ("evaluate", "method=trades", "train"),
        ("evaluate", "method.beta=6", "train"),
        ("train", "evaluation=autoattack", "evaluate"),
        ("train", "runs=outputs", "compare, evaluate, report"),
        ("report", "paths.output=x", "evaluate, statistics, train"),
    ],
)
def test_a_setting_of_another_command_is_refused_with_that_command(command, override, owners):
    with pytest.raises(ConfigCompositionException) as refused:
        compose(command, [override])
    name = override.partition("=")[0].partition(".")[0]
    message = f"{name} is a setting of {owners}; this command has none of that name. See --help."
    assert explain(refused.value) == message


def test_a_group_at_another_place_is_proposed_alone():
    with pytest.raises(ConfigCompositionException) as refused:
        compose("evaluate", ["attack=fgsm"])
    assert explain(refused.value).endswith(
        "Did you mean to override one of attack@curve.attack, attack@evaluation.pgd20.attack?"
    )
