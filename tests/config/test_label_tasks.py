"""Labels as tasks without a file: what they compose to, that files win, and that unknown names are refused early."""

import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.utils import instantiate

import gat_lightning.data
from gat_lightning.config.check import check
from gat_lightning.config.files import find_conf, plain
from gat_lightning.config.label_tasks import check_label_tasks
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.data import ImageDataModule
from gat_lightning.errors import UserError
from gat_lightning.info import BINARY_LABELS, DataInfo
from gat_lightning.runs.hashing import configuration_hash
from support.commands import command

FILE = """
{name}:
  _target_: gat_lightning.tasks.BinaryClassification
  # Name of the label.
  name: {label}
  pos_weight: {weight}
"""
EVERY = sorted({(data, label) for data, labels in BINARY_LABELS.items() for label in labels})
TASKS = "Tasks: age, autoencoder, depth, gender, hog, jigsaw, macro, none, rotation."


@pytest.fixture
def composed():
    """Composes a training."""
    register_resolvers()

    def compose_training(*overrides):
        return compose("train", ["paths.run=run", *overrides])

    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        yield compose_training
    GlobalHydra.instance().clear()


@pytest.fixture
def folder(tmp_path):
    """A user's folder of configuration files, with tasks by name and label."""

    def write(**labels):
        (tmp_path / "task").mkdir(exist_ok=True)
        for name, label in labels.items():
            text = FILE.format(name=name, label=label, weight="null" if label == name else "balanced")
            (tmp_path / "task" / f"{name}.yaml").write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(("data", "label"), EVERY)
def test_every_declared_label_is_a_task(composed, data, label):
    config = composed(f"data={data.lower()}", f"task={label}", "data.target=age")
    assert plain(config)["task"] == {
        label: {"_target_": "gat_lightning.tasks.BinaryClassification", "name": label, "pos_weight": None}
    }
    check_label_tasks(config)
    task, labels = instantiate(config.task[label]), getattr(gat_lightning.data, data)(root="x").labels()
    task.setup(DataInfo("x", (1, 8, 8), (0.5,), (0.5,), labels))
    assert (task.name, task.kind, labels[label].kind) == (label, "binary", "binary")


def test_labels_are_declared_before_torch_is_imported():
    """The table of the names is that of the classes."""
    classes = {name: getattr(gat_lightning.data, name) for name in gat_lightning.data.__all__}
    classes = {
        name: each for name, each in classes.items() if isinstance(each, type) and issubclass(each, ImageDataModule)
    }
    assert {name: each.binary_labels for name, each in classes.items() if each.binary_labels} == BINARY_LABELS
    assert len(classes) > len(BINARY_LABELS)


def test_the_run_directory_is_that_of_a_task_with_a_file(composed, folder):
    files = folder(edema="edema", pleural_other="pleural_other")
    choice = [
        "data=chexpert",
        "data.target=pneumonia",
        "task=edema+age+pleural_other",
        "task.edema.pos_weight=balanced",
    ]
    labels, read = composed(*choice), composed(*choice, f"hydra.searchpath=[{files}]")
    assert list(labels.task) == ["edema", "age", "pleural_other"]
    assert configuration_hash(labels) == configuration_hash(read)


def test_a_label_of_an_experiment_and_of_a_sum_in_it(composed, tmp_path):
    (tmp_path / "experiment").mkdir()
    for name, choice in (("one", "edema"), ("sum", "edema+rotation")):
        text = f"# @package _global_\ndefaults:\n  - override /data: nih\n  - override /task: {choice}\n"
        (tmp_path / "experiment" / f"{name}.yaml").write_text(text)
        config = composed(f"experiment={name}", f"hydra.searchpath=[{tmp_path}]")
        assert list(config.task) == choice.split("+")
        check_label_tasks(config)


def test_a_file_in_a_folder_of_the_search_path_wins(composed, folder):
    files = folder(edema="other", macro="macro")
    for choice in ("edema", "rotation+edema+atelectasis"):
        config = composed("data=nih", f"task={choice}", f"hydra.searchpath=[{files}]")
        assert (config.task.edema.name, config.task.edema.pos_weight) == ("other", "balanced")
        check_label_tasks(config)
    own = composed("data=nih", "task=macro", f"hydra.searchpath=[{files}]")
    assert own.task.macro._target_ == "gat_lightning.tasks.Macro"  # the first folder wins, which is ours


def test_a_file_in_config_dir_wins(folder):
    words = ["-m", "gat_lightning.train", "--config-dir", str(folder(edema="other")), "--cfg", "job", "-p", "task"]
    for choice in ("edema", "rotation+edema+fibrosis"):
        done = subprocess.run(
            [sys.executable, *words, "data=nih", f"task={choice}"], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert "name: other\n  pos_weight: balanced" in done.stdout
        assert ("name: fibrosis\n  pos_weight: null" in done.stdout) == ("+" in choice)


def test_a_file_of_a_label_that_the_data_set_does_not_declare_is_let_through(folder):
    search = f"hydra.searchpath=[{folder(grade='grade')}]"
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        for choice in ("grade", "grad"):
            words = ["data=digits", f"task={choice}", search, "paths.run=run"]
            config = compose("train", words, return_hydra_config=True)
            if choice == "grade":
                check_label_tasks(config)
            else:
                with pytest.raises(UserError, match=r"There is no task=grad; did you mean task=grade\?"):
                    check_label_tasks(config)


class Scans(ImageDataModule):
    """A data set of somebody else's."""

    binary_labels = ("lesion",)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=digits", "task=rotaton"], f"There is no task=rotaton; did you mean task=rotation? {TASKS}"),
        (["data=digits", "task=macro+edema"], f"There is no task=edema. {TASKS}"),
        (["data=digits", "task=Rotation"], f"There is no task=Rotation; did you mean task=rotation? {TASKS}"),
        (
            ["data=chexpert", "task=age+edemma"],
            f"There is no task=edemma; did you mean task=edema? {TASKS} Labels of CheXpert: "
            + ", ".join(sorted(BINARY_LABELS["CheXpert"]))
            + ".",
        ),
        (["data=nih", "task=pleural_other"], "did you mean task=pleural_thickening? "),
        (
            [f"data._target_={__name__}.Scans", "task=lesions"],
            f"There is no task=lesions; did you mean task=lesion? {TASKS} Labels of Scans: lesion.",
        ),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused(composed, overrides, message):
    with pytest.raises(UserError) as caught:
        check_label_tasks(composed(*overrides))
    assert message in str(caught.value)


def test_a_data_set_of_ones_own_declares_labels(composed):
    check_label_tasks(composed(f"data._target_={__name__}.Scans", "task=lesion+rotation"))
    check_label_tasks(composed("data._target_=nowhere.at.all.Scans", "task=lesion"))  # of which later checks speak


def test_the_target_is_no_task_beside_itself(composed):
    config = composed("data=chexpert", "data.root=x", "data.target=edema", "task=edema")
    with pytest.raises(UserError, match="'edema' is the target already"):
        check(config)


def test_a_name_that_no_label_can_have_is_told_by_hydra(composed):
    for choice in ("rota-ton", "macro+rota-ton"):
        with pytest.raises(HydraException, match="rota-ton"):
            composed(f"task={choice}")


@pytest.mark.slow
def test_a_sweep_with_an_unknown_task_trains_nothing(tmp_path):
    done = command("-m", "experiment=quickstart", "task=macro,rotaton", cwd=tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr.strip().splitlines()[-1].startswith("Error: There is no task=rotaton; did you mean task=rotation?")
    )
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("checkpoints"))


def test_neither_the_plugin_nor_the_check_imports_torch():
    code = (
        "import sys, gat_lightning.config.label_tasks, hydra_plugins.gat_lightning_plus\n"
        "print(sorted({'torch', 'pytorch_lightning', 'torchvision'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
