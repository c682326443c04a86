"""Every command in the README and in docs/ is one that the program takes; what is cheap is run."""

import importlib.util
import json
import re
from itertools import pairwise

import pytest
from configuration_pages import groups, read_option

from gat_lightning.commands.compare import run as compare
from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.export import run as export
from gat_lightning.commands.report import run as report
from gat_lightning.commands.statistics import run as statistics
from gat_lightning.commands.train.run import run as train
from gat_lightning.config.files import find_conf
from support.documents import PAGES, REPOSITORY, name_of, settings_of
from support.stand_ins import replaced
from support.typed_commands import COMMANDS, NAMES, OURS, composed, quietly, shorten

OTHERS = [command for command in COMMANDS if command not in OURS]
REFUSED = {"task=rotaton": "task=rotation"}
"""Words of commands that are shown because they are refused, and what the message names."""

MAKEFILE = (REPOSITORY / "Makefile").read_text()
PROJECT = (REPOSITORY / "pyproject.toml").read_text()


ELSEWHERE = (
    "hydra/launcher=", "trainer.devices=2", "dry_run=true", "engine.compile=true", "data=cifar10", "encoder=timm",
    "encoder._target_=mynetwork", "experiment=fine_tuning", "experiment=paper/", "encoder.name=resnet50",
    "experiment=study/few_labels_cifar10",
)  # fmt: skip
"""Commands with these start other processes, need what is not here, take long, or are run by tests of their own."""


LOCAL = ("experiment=", "data=digits", "data=images", "data=arrays", "data=chexpert", "data=nih")
"""Commands with these train on data that is here, or that stands in for it."""


def words_of(command):
    return replaced(list(command.words[3:]))


def options_of(command):
    words = words_of(command)
    return words[1:] if command.words[2] == "gat_lightning.data" else words


@pytest.mark.usefixtures("own_network")
def slow_if_swept(command):
    """A sweep is composed for each of its values, and those of the README stand for all in the fast tests."""
    swept = "-m" in command.words[3:] and command.page != "README.md"
    return pytest.param(command, marks=pytest.mark.slow) if swept else command


@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("command", list(map(slow_if_swept, OURS)), ids=str)
def test_it_composes_and_is_accepted(command):
    words = options_of(command)
    if words == ["--help"]:
        return
    wrong = [word for word in words if word in REFUSED]
    if wrong:
        with pytest.raises(Exception, match=r".") as caught:
            composed(NAMES[command.words[2]], words)
        assert "rotaton" in str(caught.value)
        return
    assert composed(NAMES[command.words[2]], words)


def runs_here(command):
    words = options_of(command)
    plain = not any(word.startswith(ELSEWHERE) for word in words) and words != ["--help"] and words != []
    local = any(word.startswith(LOCAL) for word in words)
    kind = NAMES[command.words[2]]
    several = kind == "evaluate" and any(word.startswith("runs=") for word in words)
    return plain and not several and not set(words) & set(REFUSED) and (kind != "train" or local)


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in OURS if runs_here(command)], ids=str)
def test_it_runs(command, workplace, tmp_path, monkeypatch):
    kind = NAMES[command.words[2]]
    if "data=chexpert" in command.words or "data=nih" in command.words:
        pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    words = options_of(command)
    if kind == "evaluate":
        words += [f"paths.run={tmp_path}", "images=4", "batch_size=4", "subset=4"]
    elif kind == "train":
        words += [f"paths.run={tmp_path}", f"paths.output={tmp_path}"]
    elif kind == "report":
        words += [f"output={tmp_path}"]
    elif kind == "export":
        words += [f"output={tmp_path}/model{suffix(words)}"]
    config = composed(kind, words)[0]
    if kind == "train":
        shorten(config)
    started = {"train": train, "evaluate": evaluate, "report": report, "compare": compare, "export": export}
    quietly(started.get(kind, statistics), config)
    if kind in ("train", "evaluate"):
        assert json.loads((tmp_path / "result.json").read_text())["status"] == "finished"


def suffix(words):
    (chosen,) = [word.partition("=")[2] for word in words if word.startswith("format=")]
    return {"torchscript": ".pt"}.get(chosen, f".{chosen}")


def check_pip(verb, *words):
    """What is installed is this project, with extras that it has, or what it depends on."""
    assert verb in ("install", "wheel")
    values = {after for word, after in pairwise(words) if word in ("--index-url", "-r", "-w")}
    for word in (word for word in words if word not in values and not word.startswith("-") and ".whl" not in word):
        name, _, extras = word.removesuffix("]").partition("[")
        assert name == "." or f'"{name}>=' in PROJECT
        assert all(re.search(rf"^{extra} = \[", PROJECT, re.MULTILINE) for extra in extras.split(",") if extra)


@pytest.mark.parametrize("command", OTHERS, ids=str)
def test_other_programs_are_called_as_they_can_be(command):
    program, *words = command.words
    program = program.removeprefix(".venv/bin/").replace("python3", "python")
    if program in ("for", "done", "do", "cd", "git"):
        return
    if program == "make":
        assert all(re.search(rf"^{word}:", MAKEFILE, re.MULTILINE) for word in words)
    elif program == "pip":
        check_pip(*words)
    elif program == "source":
        assert words == [".venv/bin/activate"]
    elif program == "wandb":
        assert words[0] in importlib.import_module("wandb.cli.cli").cli.commands
    elif program == "python" and words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None or (REPOSITORY / words[1]).is_dir()
    elif program == "python":
        assert (REPOSITORY / words[0]).is_file()
    else:
        pytest.fail(f"no rule for '{program}' ({command.page})")


def known_settings():
    conf, found = find_conf(), set()
    files = [(path, "") for path in conf.glob("*.yaml")]
    files += [(path, group.replace("/", ".")) for group in groups(conf) for path in (conf / group).glob("*.yaml")]
    for path, prefix in files:
        for each in read_option(path, prefix).settings:
            parts = each.path.split(".")
            found |= {".".join(parts[: count + 1]) for count in range(len(parts))}
    return found


KNOWN = known_settings()
ANYTHING_BELOW = ("trainer.", "model.", "hydra.launcher.", "task.NAME.", "KEY", "encoder._target_")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_named_in_the_text_exist(page):
    for word in settings_of(page):
        key, _, value = word.strip(",;").partition("=")
        folder = find_conf() / key
        if folder.is_dir():
            for option in re.split(r"[+,]", value.strip("'")):
                known = (folder / f"{option}.yaml").is_file() or option in ("null", "joblib", "basic", "NAME", "...")
                assert known, f"{word}: there is no {option}"
        elif not key.startswith(ANYTHING_BELOW):
            assert key in KNOWN, f"{word}: there is no {key}"


def test_the_pages_have_commands():
    assert len(OURS) > 50
    assert {command.page for command in OURS} >= {"README.md", "docs/researcher.md", "docs/medical.md"}
