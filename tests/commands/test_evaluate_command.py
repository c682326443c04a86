"""``python -m gat_lightning.evaluate``: what it writes, what it takes up again, and what it says to wrong inputs."""

from __future__ import annotations

import json
import re
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn

from gat_lightning.commands.evaluate.subject import load_subject
from gat_lightning.config.build import build_data
from gat_lightning.config.check import check
from gat_lightning.config.evaluation import data_settings
from gat_lightning.config.files import find_conf
from gat_lightning.config.messages import explain
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.models import Normalize
from support import commands
from support.configurations import composed
from support.evaluations import OWN, Net, evaluated

VIEWS = sorted(path.stem for path in (find_conf() / "evaluation").glob("*.yaml"))


def test_the_result_is_complete(checkpoint: Path, tmp_path: Path) -> None:
    returned = evaluated(
        tmp_path, f"checkpoint={checkpoint}", "evaluation=fgsm+pgd10+autoattack", "evaluation.pgd10.attack.steps=2",
        "evaluation.autoattack.attack.steps=1", "evaluation.autoattack.attack.queries=3", "curve.eps=[0.05,2/10]",
        "curve.attack.steps=1",
    )  # fmt: skip
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["metrics"] == returned["metrics"]
    assert (result["schema"], result["status"], result["seed"], result["images"]) == (1, "finished", 0, 12)
    assert result["config"]["data"] == result["trained"]["data"]
    assert result["config"]["evaluation"]["pgd10"]["attack"]["eps"] == result["trained"]["data"]["eps"]
    views = ["clean", "fgsm", "pgd10", "autoattack", "worst", "pgd1@0.05", "pgd1@0.2"]
    assert list(result["metrics"]["best"]) == [f"test/{view}/accuracy" for view in views]
    predictions = Predictions.load(tmp_path / result["files"]["predictions"])
    assert list(predictions.views) == views
    for view, outcomes in predictions.views.items():
        name = f"test/{view}/accuracy"
        assert result["metrics"]["best"][name] == outcomes.correct.mean()
        low, high = result["intervals"]["best"][name]
        assert 0 <= low <= outcomes.correct.mean() <= high <= 1
    assert not (tmp_path / "progress").exists()


def test_the_run_directory_is_named_by_what_is_evaluated(checkpoint: Path) -> None:
    name = composed("evaluate", f"checkpoint={checkpoint}", "evaluation=square").name
    assert name == "mine-best-square"
    assert composed("evaluate", f"checkpoint={checkpoint}", "evaluation=clean").name == "mine-best-clean"
    assert composed("evaluate", *OWN).name == "Net-fgsm"


@pytest.mark.parametrize("view", VIEWS)
def test_every_evaluation_composes_and_its_settings_fit(checkpoint: Path, view: str) -> None:
    others = [f"evaluation.{name}.attack.eps=0.2" for name in ("autoattack_l2", "apgd_l1") if view == "multi"]
    config = composed("evaluate", f"checkpoint={checkpoint}", f"evaluation={view}", "attack.eps=0.2", *others)
    check(config)
    for name, node in (config.get("evaluation") or {}).items():
        assert node.attack.eps == (0.5 if name == "cw" else 0.2)
    for path in (find_conf() / "evaluation").glob("*.yaml"):
        lines = path.read_text().splitlines()
        assert lines[0].startswith("#")


def test_settings_of_all_attacks_reach_them(checkpoint: Path) -> None:
    views = composed("evaluate", f"checkpoint={checkpoint}", "evaluation=full", "attack.norm=L2", "seed=7").evaluation
    assert {node.attack.norm for node in views.values()} == {"L2"}
    assert {node.attack.seed for node in views.values() if "seed" in node.attack} == {7}
    assert views.pgd100.attack.steps == 100
    assert views.pgd100.attack.restarts > 1


@pytest.mark.slow
def test_other_tasks_are_attacked_and_decisions_left_out_with_a_note(checkpoint: Path, tmp_path: Path) -> None:
    result = evaluated(tmp_path, f"checkpoint={checkpoint}", "evaluation=fgsm+square+fab", "attack.tasks=auxiliary",
                       "evaluation.square.attack.queries=2")  # fmt: skip
    assert list(result["metrics"]["best"]) == [f"test/{view}/accuracy" for view in ("clean", "fgsm", "square", "worst")]
    assert len(result["notes"]) == 1
    assert "fab was left out" in result["notes"][0]


def test_part_of_the_data_settings_can_be_replaced(checkpoint: Path, tmp_path: Path) -> None:
    result = evaluated(
        tmp_path, f"checkpoint={checkpoint}", "evaluation=clean", "split=val", "++data.val_fraction=0.05", "images=null"
    )
    assert result["config"]["data"]["val_fraction"] == 0.05
    assert 65 < result["images"] < 80
    assert list(result["metrics"]["best"]) == ["val/clean/accuracy"]


@pytest.mark.parametrize(
    "form", ["plain", *(pytest.param(form, marks=pytest.mark.slow) for form in ("nested", "safetensors"))]
)
def test_any_classifier_with_weights_from_a_file(form: str, tmp_path: Path) -> None:
    model = Net()
    with torch.no_grad():
        model[1].weight.normal_(generator=torch.Generator().manual_seed(0))
    state = model.state_dict()
    path = tmp_path / ("net.safetensors" if form == "safetensors" else "net.pt")
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if form == "nested" else state, path)
    evaluated(tmp_path / "run", *OWN, f"weights={path}", "normalize={mean: [0.5], std: [0.25]}")
    predictions = Predictions.load(tmp_path / "run" / "predictions.npz")
    data = build_data(OmegaConf.create({"data": data_settings(composed("evaluate", *OWN)), "augment": None}))
    data.setup("test")
    images: Tensor = data.split("test").__getitems__(predictions.index.tolist()).images
    assert predictions.views["clean"].prediction.tolist() == model((images - 0.5) / 0.25).argmax(1).tolist()


class Normalizing(nn.Sequential):
    """Somebody's classifier that normalises by itself."""

    def __init__(self) -> None:
        super().__init__(Normalize([0.5], [0.25]), nn.Flatten(), nn.Linear(64, 10))


def test_pixels_that_are_not_normalised_do_not_pass_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "export.safetensors"
    save_file(Net().state_dict(), file, {"gat_lightning": json.dumps({"mean": [0.25], "std": [0.75]})})
    for words, said in (
        (OWN, "its scores are wrong unless it normalises them itself. Set normalize="),
        ([*OWN, f"weights={file}"], "were trained with mean [0.25] and std [0.75]. Set normalize="),
        ([*OWN, "normalize=data"], ""),
        ([f"++model._target_={__name__}.Normalizing", *OWN[1:]], ""),
    ):
        caplog.clear()
        load_subject(composed("evaluate", *words))
        assert ("normalize=null" in caplog.text) == bool(said)
        assert said in caplog.text


def half() -> nn.Module:
    return Net().bfloat16()


def test_weights_are_not_rounded_to_the_type_of_the_function_s_model(tmp_path: Path) -> None:
    state = Net().state_dict()
    torch.save(state, tmp_path / "net.pt")
    words = [f"++model._target_={__name__}.half", *OWN[1:], f"weights={tmp_path / 'net.pt'}"]
    assert torch.equal(load_subject(composed("evaluate", *words)).model[1].weight, state["1.weight"])


@pytest.mark.slow
def test_classifiers_of_torchvision_and_timm(tmp_path: Path) -> None:
    digits = load_digits()
    images, labels = (digits.images * 15).astype(np.uint8), digits.target.astype(np.uint8)
    colour = np.repeat(np.kron(images, np.ones((4, 4), np.uint8))[..., None], 3, axis=3)
    arrays = {"train_images": colour[:300], "train_labels": labels[:300], "test_images": colour[300:350]}
    np.savez(tmp_path / "own.npz", test_labels=labels[300:350], **arrays)
    data = ["data=arrays", f"++data.path={tmp_path / 'own.npz'}", "evaluation=fgsm", "normalize=data", "attack.eps=0.1"]
    torchvision = ["++model._target_=torchvision.models.resnet18", "++model.num_classes=10"]
    assert evaluated(tmp_path / "a", *torchvision, *data)["status"] == "finished"
    timm = ["++model._target_=timm.create_model", "++model.model_name=resnet10t", "++model.num_classes=10"]
    assert evaluated(tmp_path / "b", *timm, *data)["status"] == "finished"


WRONG = {
    "nothing": ([], "either checkpoint=RUN/checkpoints/best.ckpt, or a classifier with model._target_"),
    "both": (["checkpoint=CHECKPOINT", *OWN], "either checkpoint="),
    "no_file": (["checkpoint=none.ckpt"], "There is no checkpoint 'none.ckpt'"),
    "foreign": (["checkpoint=FOREIGN"], "is not a checkpoint that gat_lightning wrote"),
    "no_data": (["++model._target_=support.evaluations.Net"], "data=NAME"),
    "classes": ([*OWN, "++model.outputs=7"], "must give 10 outputs for images of 1 x 8 x 8 ('digits'), but gives [7]"),
    "channels": (
        ["checkpoint=CHECKPOINT", "data=arrays", "++data.path=COLOUR", "data.macro=null"],
        "The model does not work on images of 3 x 8 x 8",
    ),
    "fewer_classes": (
        ["checkpoint=CHECKPOINT", "data=arrays", "++data.path=FEWER", "data.macro=null"],
        "tells 10 classes of 'class' apart, but the data set",
    ),
    "not_a_model": ([*OWN[1:], "++model._target_=collections.OrderedDict"], "makes a OrderedDict, not an nn.Module"),
    "scale": (
        [*OWN, "normalize={mean: [125.3], std: [63.0]}"],
        "normalize.mean=[125.3]: it must be of pixels in [0, 1], so from 0 to 1; divide those of pixels in 0..255 by",
    ),
    "weights": ([*OWN, "weights=none.pt"], "weights='none.pt': it must be a file that exists"),
    "weights_of_ours": ([*OWN, "weights=CHECKPOINT"], "this is a checkpoint of ours"),
    "other_weights": ([*OWN, "weights=OTHER"], "are not this model's"),
    "no_weights": ([*OWN, "weights=TEXT"], "cannot be read"),
    "needless": (["checkpoint=CHECKPOINT", "weights=OTHER"], "a checkpoint has its own"),
    "norm": (
        ["checkpoint=CHECKPOINT", "evaluation=square", "attack.norm=L1"],
        "attack.norm='L1': it must be one of: Linf, L2",
    ),
    "eps": (["checkpoint=CHECKPOINT", "attack.eps=-1"], "attack.eps=-1: it must be"),
    "curve": (["checkpoint=CHECKPOINT", "curve.eps=[-1]"], "curve.eps=-1: it must be"),
    "split": (["checkpoint=CHECKPOINT", "split=train"], "split='train': it must be one of: test, val"),
    "batch": (["checkpoint=CHECKPOINT", "batch_size=0"], "batch_size=0: it must be a whole number of at least 1"),
    "tasks": (["checkpoint=CHECKPOINT", "attack.tasks=others"], "attack.tasks='others'"),
    "tasks_of_one": (["checkpoint=CHECKPOINT", "evaluation.pgd20.attack.tasks=all"], "set attack.tasks"),
    "tasks_of_the_curve": (["checkpoint=CHECKPOINT", "curve.attack.tasks=all"], "curve.attack.tasks: one evaluation"),
    "target": (["checkpoint=CHECKPOINT", "++data.target=macro"], "is 'class': set data.target to it, not to 'macro'"),
    "target_of_data": (
        ["checkpoint=CHECKPOINT", "data=digits", "data.target=macro"],
        "is 'class': set data.target to it, not to 'macro'",
    ),
    "no_auxiliary": ([*OWN, "attack.tasks=auxiliary"], "attack.tasks='auxiliary': it must be target or all"),
    "view": (["checkpoint=CHECKPOINT", "evaluation=pgd21"], "did you mean evaluation=pgd"),
    "resume": (["checkpoint=CHECKPOINT", "resume=elsewhere"], "resume='elsewhere': it must be auto or null"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    torch.save({"state_dict": {}}, folder / "foreign.ckpt")
    torch.save(nn.Linear(2, 2).state_dict(), folder / "other.pt")
    (folder / "text.pt").write_text("text")
    labels = np.arange(40) % 10
    for name, shape, classes in (("colour", (40, 8, 8, 3), labels), ("fewer", (40, 8, 8, 1), labels % 4)):
        images = np.zeros(shape, np.uint8)
        images[:, 0, 0] = np.arange(40)[:, None]
        arrays = {"train_images": images, "train_labels": classes, "test_images": images, "test_labels": classes}
        np.savez(folder / f"{name}.npz", **arrays)
    names = {"FOREIGN": "foreign.ckpt", "OTHER": "other.pt", "TEXT": "text.pt", "COLOUR": "colour.npz"}
    return {
        "CHECKPOINT": checkpoint,
        **{key: folder / name for key, name in names.items()},
        "FEWER": folder / "fewer.npz",
    }


@pytest.mark.parametrize("case", list(WRONG))
def test_wrong_inputs_are_named(case: str, files: dict[str, Path], tmp_path: Path) -> None:
    overrides, message = WRONG[case]
    for name, path in files.items():
        overrides = [text.replace(name, str(path)) for text in overrides]
    with pytest.raises(Exception, match=r".") as caught:
        evaluated(tmp_path, *overrides)
    assert message in explain(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)], ids=lambda number: number.name
)
def test_an_interrupted_evaluation_goes_on(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    arguments = [f"checkpoint={checkpoint}", "evaluation=pgd10", "evaluation.pgd10.attack.steps=1", "pictures=false"]
    whole = evaluated(tmp_path / "whole", *arguments)
    from gat_lightning.attacks import PGD

    perturb, calls = PGD.perturb, []

    def interrupted(self: PGD, *given: Any) -> Tensor:
        calls.append(None)
        if len(calls) == 2:
            signal.raise_signal(number)
        return perturb(self, *given)

    monkeypatch.setattr(PGD, "perturb", interrupted)
    with pytest.raises(SystemExit) as stopped:
        evaluated(tmp_path / "run", *arguments)
    assert stopped.value.code == 128 + number
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "interrupted"
    assert evaluated(tmp_path / "run", *arguments)["metrics"] == whole["metrics"]
    assert len(calls) == 3


def test_a_finished_evaluation_is_skipped_on_request_and_left_by_a_requeued_job(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"checkpoint={checkpoint}", "evaluation=fgsm", "pictures=false"]
    evaluated(tmp_path, *arguments)
    before = (tmp_path / "result.json").read_bytes()
    capsys.readouterr()
    evaluated(tmp_path, *arguments, "skip_finished=true")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    evaluated(tmp_path, *arguments)
    assert capsys.readouterr().out.splitlines() == [
        f"Skipped, since it is finished and skip_finished=true: {tmp_path}",
        f"Nothing to do for this requeued job: its run is finished: {tmp_path}",
    ]
    assert (tmp_path / "result.json").read_bytes() == before


start = partial(commands.start, module="gat_lightning.evaluate")


@pytest.mark.slow
def test_ctrl_c_ends_the_command_with_the_status_of_an_interrupted_one(checkpoint: Path, tmp_path: Path) -> None:
    process = start(f"checkpoint={checkpoint}", "evaluation=pgd20", "evaluation.pgd20.attack.steps=3000", cwd=tmp_path)
    while not list(tmp_path.glob("outputs/*/progress/*/*.npz")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in error
    (result,) = tmp_path.glob("outputs/*/result.json")
    assert json.loads(result.read_text())["status"] == "interrupted"


@pytest.mark.slow
def test_a_killed_command_goes_on_with_the_batch_it_was_at(checkpoint: Path, tmp_path: Path) -> None:
    arguments = [
        f"checkpoint={checkpoint}", "evaluation=autoattack", "images=24", "batch_size=6", "attack.eps=0.02",
        "evaluation.autoattack.attack.steps=6", "evaluation.autoattack.attack.queries=60",
    ]  # fmt: skip
    whole, error = (process := start(*arguments, "paths.output=whole", cwd=tmp_path)).communicate(timeout=300)
    assert process.returncode == 0, error
    assert "autoattack" in whole
    for units in (3, 7, 11):
        process = start(*arguments, "paths.output=killed", cwd=tmp_path)
        while len(list(tmp_path.glob("killed/*/progress/*/*.npz"))) < units and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start(*arguments, "paths.output=killed", cwd=tmp_path)
    assert process.communicate(timeout=300) is not None
    assert process.returncode == 0
    first, second = (Predictions.load(*tmp_path.glob(f"{name}/*/predictions.npz")) for name in ("whole", "killed"))
    for view, outcomes in first.views.items():
        assert all(np.array_equal(column, getattr(second.views[view], name)) for name, column in vars(outcomes).items())
    log = next(tmp_path.glob("killed/*/gat.log")).read_text()
    for attack in ("clean", "apgd_ce", "apgd_t", "fab", "square"):
        begins = re.findall(rf"{attack} begins with batch 1 of 4", log)
        assert len(begins) <= 2, log  # twice if the kill came before its first batch was done
    assert "goes on with batch" in log


@pytest.mark.slow
def test_the_command_prints_one_message_and_exits_with_1(tmp_path: Path) -> None:
    process = start("checkpoint=none.ckpt", cwd=tmp_path)
    printed, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert not printed
    assert error.splitlines() == ["Error: There is no checkpoint 'none.ckpt'. Runs keep theirs in RUN/checkpoints."]
