"""Wrong inputs: one message with the fault and the remedy, exit status 1, no traceback, and nothing is trained."""

import logging
import os
import sys

import numpy as np
import pytest
import torch
from hydra.errors import HydraException, InstantiationException

from gat_lightning.config.command_line import command
from gat_lightning.errors import UserError
from gat_lightning.train import main
from support import commands

SMALL = "encoder=preact_resnet_small"
DIGITS = f"data=digits {SMALL} "
OWN = f"data=arrays {SMALL} data.path="


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files that somebody might pass by mistake."""
    folder = tmp_path_factory.mktemp("files")
    labels = np.arange(40) % 4
    grey = np.arange(40 * 8 * 8, dtype=np.uint8).reshape(40, 8, 8)
    good = {"train_images": grey, "train_labels": labels, "test_images": grey[:8], "test_labels": labels[:8]}

    def save(name, **changed):
        np.savez(folder / name, **{**good, **changed})

    save("good.npz")
    (folder / "corrupt.npz").write_bytes(b"not an archive at all")
    (folder / "truncated.npz").write_bytes((folder / "good.npz").read_bytes()[:2000])
    save("channels_first.npz", train_images=np.zeros((40, 3, 8, 8), np.uint8))
    save("two_shapes.npz", test_images=np.full((8, 9, 9), 9, np.uint8))
    save("negative.npz", train_labels=labels - 1)
    save("out_of_range.npz", test_labels=labels[:8] + 7)
    save("floats.npz", train_images=grey.astype(np.float32))
    save("oblong.npz", train_images=grey[:, :, :6], test_images=grey[:8, :, :6])
    np.savez(folder / "other_names.npz", images=grey, labels=labels)
    (folder / "text.ckpt").write_text("not a checkpoint")
    torch.save({"state_dict": {}}, folder / "foreign.ckpt")
    return folder


# Arguments (FILES stands for the folder above); what the message says of the fault; what it says of the remedy.
WRONG = {
    "group": ("taks=macro", "There is no setting or group taks", "did you mean task?"),
    "option": (DIGITS + "task=rotaton", "There is no task=rotaton", "did you mean task=rotation?"),
    "key": (DIGITS + "attack.epss=1", "There is no setting attack.epss", "did you mean attack.eps? Settings of attack"),
    "trainer argument": (DIGITS + "+trainer.max_epoch=3", "Trainer has no such", "did you mean trainer.max_epochs?"),
    "task twice": (DIGITS + "task=macro+macro", "'macro+macro' names macro", "more than once"),
    "negative eps": (DIGITS + "attack.eps=-0.1", "attack.eps=-0.1", "8/255"),
    "no steps": (DIGITS + "attack.steps=0", "attack.steps=0", "at least 1"),
    "batch size": (DIGITS + "data.batch_size=0", "data.batch_size=0", "at least 2"),
    "no fraction": (DIGITS + "data.fraction=0", "data.fraction=0", "above 0 and at most 1"),
    "precision": (DIGITS + "trainer.precision=16-mixed", "precision=16-mixed does not", "=bf16-mixed, 32-true"),
    "no auxiliary task": (DIGITS + "attack.tasks=auxiliary", "tasks='auxiliary'", "an auxiliary task"),
    "least weight": (DIGITS + "task=macro weighting.min_weight=0.6", "weighting.min_weight=0.6: it", "at most 1/3"),
    "place of checkpoints": (DIGITS + "callbacks.last.dirpath=here", "dirpath=here: a run keeps its", "paths.output"),
    "task without its label": (DIGITS + "task=macro data.macro=null", "has no label 'macro'", "Define macro classes"),
    "rotation of oblongs": (OWN + "FILES/oblong.npz task=rotation", "8 x 6 pixels", "Crop or pad them"),
    "no file": (OWN + "FILES/nowhere/my.npz", "there is no file", "data.path"),
    "corrupt": (OWN + "FILES/corrupt.npz", "corrupt.npz cannot be read", "Write it again with numpy.savez"),
    "truncated": (OWN + "FILES/truncated.npz", "truncated.npz cannot be read", "Write it again"),
    "channels first": (OWN + "FILES/channels_first.npz", "looks like [N, C, H, W]", "array.transpose(0, 2, 3, 1)"),
    "label out of range": (OWN + "FILES/out_of_range.npz", "test_labels go up to 10", "number the classes alike"),
    "floats up to 255": (OWN + "FILES/floats.npz", "values lie in [0, 255]", "np.rint(array).astype(np.uint8)"),
    "unreadable checkpoint": (DIGITS + "resume=FILES/text.ckpt", "cannot be read as a checkpoint", "RUN/checkpoints"),
    "foreign checkpoint": (DIGITS + "init=FILES/foreign.ckpt", "foreign.ckpt", "not a checkpoint that gat_lightning"),
    "fraction in percent": (DIGITS + "data.fraction=50", "data.fraction=50", "above 0 and at most 1"),
    "two shapes": (OWN + "FILES/two_shapes.npz", "[1, 8, 8] and [1, 9, 9]", "save them alike"),
    "no data": (f"{SMALL} data.root=FILES/nowhere data.download=false", "CIFAR-10 is not there", "data=digits needs"),
    "no folder": (f"{SMALL} data=images data.root=FILES/nowhere", "there is no folder", "expected are data.root/train"),
}  # fmt: skip
MORE = {
    "experiment": ("experiment=quikstart", "no experiment=quikstart", "did you mean experiment=quickstart?"),
    "attack argument": (DIGITS + "+attack.foo=1", "attack.foo: PGD has no such", "It has: norm, eps, mode, step_size"),
    "seed": (DIGITS + "seed=abc", "seed='abc'", "a whole number of at least 0"),
    "text for a number": (DIGITS + "data.workers=many", "data.workers='many'", "it must be a whole number"),
    "eps of the data": (DIGITS + "data.eps=8:255", "data.eps='8:255'", "8/255"),
    "views": (DIGITS + "data.views=seperate", "data.views='seperate'", "did you mean separate?"),
    "curvature": (DIGITS + "curvature.mode=objectives", "'objectives'", "one of: objective, penalty, off"),
    "accumulate": (DIGITS + "+trainer.accumulate_grad_batches=2", "accumulate_grad_batches=2", "set data.batch_size"),
    "floor without attack": (DIGITS + "weighting=mgda_floor method=standard", "floor.target needs", "as Madry does"),
    "no validation": (DIGITS + "validation.every=9 trainer.max_epochs=3", "validation.every=9", "to 3 or less"),
    "target as a task": (DIGITS + "data.target=macro task=macro", "'macro' is the target already", "leave it out"),
    "negative label": (OWN + "FILES/negative.npz", "the negative label -1", "numbered from 0"),
    "no checkpoint": (DIGITS + "init=FILES/none.ckpt", "There is no checkpoint", "RUN/checkpoints"),
    "option in a sum": (DIGITS + "task=macro+rotaton", "There is no task=rotaton", "did you mean task=rotation?"),
    "no option": (DIGITS + "logger=null", "There is no logger=null", "Options of logger: csv"),
    "launcher": ("hydra/launcher=submitit_slrm", "hydra/launcher=submitit_slrm", "hydra/launcher=submitit_slurm?"),
    "key of another group": (DIGITS + "batch_size=64", "no setting or group batch_size", "mean data.batch_size?"),
    "key like another": (DIGITS + "epochs=3", "no setting or group epochs", "did you mean trainer.max_epochs?"),
    "key to append": (DIGITS + "trainer.max_steps=3", "trainer.max_steps is possible", "+trainer.max_steps=VALUE"),
    "data argument": (DIGITS + "+data.batchsize=4", "Digits has no such setting", "did you mean data.batch_size?"),
    "setting of the default": (
        DIGITS + "encoder._target_=gat_lightning.models.wide_resnet28_10",
        "encoder.width: wide_resnet28_10 has no such setting",
        "leave it out, by ~encoder.width",
    ),
    "target": (DIGITS + "attack._target_=gat_lightning.attacks.PDG", "no attribute 'PDG'", "did you mean PGD?"),
    "tasks with a comma": (DIGITS + "task=macro,rotation", "Ambiguous value", "joined by +, as in task=macro+rotation"),
    "slip in auto": (DIGITS + "resume=auot", "resume=auot: there is no such checkpoint", "did you mean auto?"),
    "folder for a checkpoint": (DIGITS + "init=FILES", "is a folder, not a checkpoint", "/checkpoints/best.ckpt"),
    "dashes": ("--experiment=quickstart", "no option --experiment=quickstart", "have no dashes, experiment=quick"),
    "module that is not found": (
        DIGITS + "encoder._target_=nowhere_at_all.Net",
        "encoder._target_=nowhere_at_all.Net cannot be imported: No module named",
        "folder of nowhere_at_all.py must be on PYTHONPATH",
    ),
    "no equals sign": (DIGITS + "task=macro rotation", "'rotation' cannot be read", "task=macro+rotation"),
    "sweep without -m": (DIGITS + "seed=1,2", "Ambiguous value for argument 'seed=1,2'", "--multirun"),
    "fraction of a step": (DIGITS + "attack.steps=1.5", "attack.steps=1.5", "it must be a whole number"),
    "number for a list": (DIGITS + "weighting.floor=0.5", "weighting.floor=0.5", "{NAME: a number} or null"),
    "eps in grey levels": (DIGITS + "attack.eps=8", "attack.eps=8: it must be", "8/255"),
    "no steps in the test": (DIGITS + "test.attack.steps=0", "test.attack.steps=0", "at least 1"),
    "tasks of the test": (DIGITS + "test.attack.tasks=nonsense", "test.attack.tasks=nonsense", "leave it at target"),
    "tasks of the validation": (
        DIGITS + "task=macro validation.attack.tasks=all",
        "validation.attack.tasks=all: validation and test score",
        "attack.tasks says whose loss",
    ),
    "tasks of a further test": (
        DIGITS + "+attack@test.also.more.attack=pgd test.also.more.attack.tasks=auxiliary",
        "test.also.more.attack.tasks=auxiliary",
        "leave it at target",
    ),
    "two tests of one name": (
        DIGITS + "+attack@test.also.pgd20.attack=pgd",
        "test.also.pgd20 has the name of test.attack",
        "change its settings",
    ),
    "training by an ensemble": (
        DIGITS + "attack=autoattack",
        "attack is autoattack, an attack for evaluations",
        "gat_lightning.evaluate checkpoint=RUN/checkpoints/best.ckpt evaluation=autoattack",
    ),
    "validation by an ensemble": (
        DIGITS + "attack@validation.attack=autoattack",
        "validation.attack is autoattack, an attack for evaluations",
        "choose another here, such as pgd",
    ),
    "test by a decision's attack": (
        DIGITS + "attack@test.attack=apgd_t",
        "test.attack is apgd_t, an attack for evaluations",
        "evaluation=apgd_t",
    ),
    "further test by a decision's attack": (
        DIGITS + "+attack@test.also.more.attack=fab",
        "test.also.more.attack is fab, an attack for evaluations",
        "evaluation=fab",
    ),
    "norm": (DIGITS + "attack.norm=linf2", "attack.norm='linf2'", "did you mean Linf?"),
    "learning rate": (DIGITS + "optimizer.lr=-0.1", "optimizer.lr=-0.1", "a number above 0"),
    "epochs": (DIGITS + "trainer.max_epochs=0", "trainer.max_epochs=0", "a whole number of at least 1"),
    "devices": (DIGITS + "trainer.devices=0", "trainer.devices=0", "-1 or auto or a list of indices"),
    "normalize": (DIGITS + "weighting.normalize=L2", "weighting.normalize='L2'", "did you mean l2?"),
    "clipping": (DIGITS + "+trainer.gradient_clip_val=1", "gradient_clip_val=1", "set engine.clip_norm"),
    "no end": (DIGITS + "trainer.max_epochs=-1", "trainer.max_epochs=-1 has no end", "+trainer.max_steps"),
    "nesterov": (DIGITS + "+optimizer.nesterov=true optimizer.momentum=0", "optimizer: Nesterov", "a momentum"),
    "label": (DIGITS + "data.target=clas", "data.target='clas'", "did you mean class?"),
    "jigsaw": (DIGITS + "task=jigsaw task.jigsaw.grid=3", "not divisible by 3", "a divisor of both"),
    "no path": ("data=arrays", "data.path=null", "an .npz file"),
    "other names": (OWN + "FILES/other_names.npz", "has no array train_images", "it has images, labels. It must be"),
}  # fmt: skip
AS_COMMANDS = ("group", "option", "key", "no auxiliary task", "corrupt")


def arguments_of(case, files):
    return (WRONG | MORE)[case][0].replace("FILES", str(files)).split(" ")


def assert_refused(case, status, printed, directory):
    assert status == 1
    assert printed.startswith("Error: ")
    assert "Traceback" not in printed
    assert len(printed.strip().splitlines()) <= 3
    _, fault, remedy = (WRONG | MORE)[case]
    assert fault in printed
    assert remedy in printed
    assert not list(directory.rglob("checkpoints"))


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Runs a command in this process, as if it had been typed in an empty directory: exit status and error output."""

    def run(arguments, entry=main):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["train", *arguments, "hydra/job_logging=none", "hydra/hydra_logging=none"])
        with pytest.raises(SystemExit) as stopped:
            entry()
        return stopped.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("case", [*WRONG, *(pytest.param(case, marks=pytest.mark.slow) for case in MORE)])
def test_wrong_input(case, typed, files, tmp_path):
    status, printed = typed(arguments_of(case, files))
    assert_refused(case, status, printed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", AS_COMMANDS)
def test_wrong_input_as_a_command(case, files, tmp_path):
    done = commands.command(*arguments_of(case, files), cwd=tmp_path)
    assert_refused(case, done.returncode, done.stderr, tmp_path)


def test_missing_data_are_the_last_thing_to_be_said(typed):
    """Whoever waits for a download must not then be told of a slip in the configuration."""
    for slip in ("optimizer.lr=0", "weighting.normalize=l3"):
        status, printed = typed(["data.root=nowhere", "data.download=false", slip])
        assert status == 1
        assert slip.split("=")[0] in printed
        assert "CIFAR-10" not in printed


@pytest.mark.parametrize("wish", [["taks=macro", "debug=true"], ["debug=fast"], []])
def test_the_traceback_is_shown_on_request(wish, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "data=digits", "attack.eps=-1", "hydra/job_logging=none", *wish])
    if not wish:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises((UserError, HydraException), match=r"attack.eps=-1|taks"):
        main()


@pytest.mark.parametrize("own", [[], ["+task.own._target_=own_task.Task"]])
def test_an_error_of_a_program_keeps_its_traceback(own, tmp_path, monkeypatch):
    def run(config):
        raise IndexError("a bug")

    (tmp_path / "own_task.py").write_text("class Task:\n    def __init__(self):\n        raise IndexError('a bug')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "data=digits", "hydra/job_logging=none", *own])
    with pytest.raises((IndexError, InstantiationException), match="a bug"):
        command("train", run)()


def test_a_sweep_goes_on_after_a_wrong_point_and_fails_in_the_end(typed, caplog):
    ran = []
    entry = command("train", lambda config: ran.append(config.attack.eps))
    with caplog.at_level(logging.ERROR):
        status, printed = typed(["-m", "data=digits", "attack.eps=-1,0.1"], entry)
    assert ran == [0.1]
    reasons = [record.message.partition(": it must")[0] for record in caplog.records]
    assert reasons == ["attack.eps=-1", "Failed: attack.eps=-1: attack.eps=-1"]
    assert status == 1
    assert "Error: 1 of 2 runs failed" in printed
    assert os.environ.get("HYDRA_FULL_ERROR") is None


def test_the_run_does_not_inherit_hydras_switch(tmp_path, monkeypatch):
    """Processes that a run starts would otherwise show tracebacks."""
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "data=digits", "hydra/job_logging=none"])
    command("train", lambda config: seen.append(os.environ.get("HYDRA_FULL_ERROR")))()
    assert seen == [None]
