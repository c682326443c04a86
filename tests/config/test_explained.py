"""What ``--help`` says of the settings and groups of each command."""

import re

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gat_lightning.config.documented import read_option
from gat_lightning.config.explained import explained_settings
from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.runs.telling import WIDTH


@pytest.fixture(autouse=True)
def conf():
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        yield


COMMANDS = ["train", "evaluate", "report", "compare", "export", "statistics"]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("resolver", ["group_options", "explained_settings"])
def test_the_text_is_made_for_help_alone(name, resolver):
    made = []
    OmegaConf.register_new_resolver(resolver, lambda *_: made.append(name), replace=True)
    config = compose(name, return_hydra_config=True)
    assert not made
    if "${" + resolver in OmegaConf.to_yaml(config):
        assert config.hydra.help.template
        assert made


@pytest.mark.parametrize("name", COMMANDS)
def test_every_setting_of_a_command_is_there_below_its_comment(name):
    config = compose(name, return_hydra_config=True)
    text = explained_settings(config)
    plain = OmegaConf.to_container(config, resolve=False)
    assert yaml.safe_load(text) == {key: plain[key] for key in plain if key != "hydra"}
    described = [each for each in read_option(find_conf() / f"{name}.yaml", "").settings if "." not in each.path]
    for setting in described:
        above = text[: re.search(rf"^{setting.path}:", text, re.MULTILINE).start()].splitlines()
        words = " ".join(line.removeprefix("# ") for line in above)
        assert words.endswith(setting.meaning), setting.path
    assert max(map(len, text.splitlines())) <= WIDTH


def test_settings_of_chosen_options_are_explained_and_equal_comments_shown_once():
    text = explained_settings(compose("train", ["method=trades", "data=nih"], return_hydra_config=True))
    (beta,) = [
        each
        for each in read_option(find_conf() / "method" / "trades.yaml", "method").settings
        if each.path == "method.beta"
    ]
    above = text[: text.index("  beta:")].splitlines()
    assert " ".join(line.strip().removeprefix("# ") for line in above).endswith(beta.meaning)
    comments = re.findall(r"(?:^ *# .*\n)+ *\w+:", text, re.MULTILINE)
    assert len(comments) == len(set(comments)) > 60


def listed_groups(name):
    template = compose(name, return_hydra_config=True).hydra.help.template
    options = template.partition("(GROUP=OPTION)")[2].partition("Every setting")[0]
    return dict(re.findall(r"^([\w@./]+): (.+)$", options, re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("evaluate", ["evaluation", "data", "engine", "attack@curve.attack"]),
        ("export", ["format"]),
        ("statistics", ["data"]),
    ],
)
def test_groups_that_are_listed_can_be_chosen_from(name, groups):
    listed = listed_groups(name)
    assert list(listed) == groups
    for group, options in listed.items():
        assert compose(name, [f"{group}={options.split(', ')[0]}"])
