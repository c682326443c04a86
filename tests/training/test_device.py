"""Steps on a stand-in for a GPU: nothing on two devices at once, and hardly anything that the host waits for."""

import inspect
import re
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing._internal.distributed.fake_pg import FakeStore

from gat_lightning.attacks.norms import Linf
from gat_lightning.config.files import find_conf
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.methods import Madry
from gat_lightning.tasks import views
from gat_lightning.tasks.binary import BinaryClassification
from support.device_trainings import synchronisations
from support.stand_in_device import DeviceFaultError
from support.xray_folders import nih_folder

DIGITS = [
    "method=madry task=macro+rotation weighting=mgda augment=cutmix optimizer=adamw",
    "method=madry_separate task=macro+jigsaw weighting=mgda_floor callbacks=default+swa",
    "method=trades weighting=imtl augment=mixup curvature.mode=penalty attack=pgd",
    "method=mart weighting=gradvac augment=maxup curvature.mode=penalty curvature.derivative=finite_difference",
    "method=fat weighting=pcgrad augment=standard curvature.derivative=finite_difference curvature.scheme=central",
    "method=free method.replays=2 weighting=equal curvature.mode=off awp.gamma=0.01 on_nan=skip callbacks=default+ema",
    "method=fast weighting=fixed curvature.mode=off engine.space=representation engine.micro_batch=4 augment=affine",
    "method=fgsm attack=fgsm weighting=cagrad engine.micro_batch=4",
    "method=self_supervised weighting=aligned_mtl curvature.mode=off attack=mim data.views=shared",
    "method=adversarial weighting=nash_mtl curvature.mode=off attack=bim attack.norm=L1 attack.eps=3"
    " engine.clip_norm=1",
    "method=standard weighting=upgrad curvature.mode=off task=none",
    "method=adversarial task=hog+autoencoder weighting=torchjd curvature.mode=off attack.norm=L2 attack.eps=0.5"
    " attack.restarts=2 attack.loss=dlr attack.mode=train",
    "weighting=famo task=rotation curvature.mode=off",
    "engine.solve_every=2 curvature.every=2",
    "unlabeled.mode=consistency data.unlabeled=rest data.target=class task=rotation engine.micro_batch=4",
    "unlabeled.mode=consistency unlabeled.images=all method=free method.replays=2 weighting=equal curvature.mode=off",
    "method=madry_separate task=rotation weighting=ca_at curvature.mode=off trainer.precision=bf16-mixed"
    " engine.channels_last=true",
]
XRAYS = (
    "data=nih", "data.target=cardiomegaly", "target_task.pos_weight=balanced", "task=age+gender", "data.size=32",
    "data.workers=0", "data.fraction=0.5", "encoder=preact_resnet_small", "attack.steps=2", "curvature.mode=off",
)  # fmt: skip
DEPTH = (
    "data=arrays", "data.path=depth.npz", "task=depth", "encoder=preact_resnet_small", "attack.steps=2",
    "curvature.mode=off",
)  # fmt: skip
EVALUATIONS = {"apgd_ce", "apgd_t", "autoattack", "autoattack_rand", "cw", "fab", "square"}
"""Attacks by torchattacks. They attack a decision, which a step of training has not; Square waits for each query."""


def on_digits(tmp_path, words):
    steps = [] if "attack=fgsm" in words else ["attack.steps=2"]
    return synchronisations(tmp_path, "experiment=quickstart", "data.fraction=0.1", *steps, *words.split())


@pytest.fixture
def xrays(tmp_path):
    nih_folder(tmp_path)
    return (*XRAYS, f"data.root={tmp_path}")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=words.split()[0], marks=[] if number % 3 == 0 else pytest.mark.slow)
        for number, words in enumerate(DIGITS)
    ],
)
def test_a_step_waits_for_the_device_at_most_four_times_and_never_in_the_attack(words, tmp_path):
    assert max(map(len, on_digits(tmp_path, words))) <= 4


def test_nor_does_a_step_on_x_rays_with_a_weight_of_the_positives(xrays, tmp_path):
    assert max(map(len, synchronisations(tmp_path, *xrays))) <= 4


def test_nor_does_one_on_maps_of_depth_that_do_not_fit_on_the_device(tmp_path, monkeypatch):
    random, arrays = np.random.default_rng(0), {}
    for split in ("train", "test"):
        arrays[f"{split}_images"] = random.integers(0, 256, (400, 16, 16, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(400) % 2
        arrays[f"{split}_depth"] = random.random((400, 16, 16), dtype=np.float32)
    np.savez(tmp_path / "depth.npz", **arrays)
    monkeypatch.chdir(tmp_path)
    assert max(map(len, synchronisations(tmp_path, *DEPTH, memory=0))) <= 4


def test_every_method_task_weighting_and_attack_of_a_training_is_among_them():
    chosen = {word for words in [*DIGITS, *map(" ".join, (XRAYS, DEPTH))] for word in words.split()}
    for group in ("method", "task", "weighting", "attack"):
        names = {path.stem for path in (Path(find_conf()) / group).glob("*.yaml")}
        values = (word.partition("=")[2] for word in chosen if word.startswith(f"{group}="))
        assert names - {name for value in values for name in value.split("+")} == (
            EVALUATIONS if group == "attack" else set()
        )


def test_all_that_a_step_waits_for_is_one_copy_of_its_gramian_and_losses(tmp_path):
    for found in on_digits(tmp_path, "task=macro+rotation"):
        (waited,) = found
        assert waited.startswith("copy to the CPU: gat_lightning/gradients/")


@pytest.fixture
def two_processes():
    """A process group of two of which this is one, whose collectives do nothing."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("two_processes")
@pytest.mark.parametrize("words", ["awp.gamma=0.01 augment=cutmix", "method=free engine.space=representation"])
def test_collectives_get_tensors_of_the_device(words, tmp_path):
    assert max(map(len, on_digits(tmp_path, f"{words} task=rotation curvature.mode=off"))) <= 4


def line(function, text):
    """``file:line`` of the one line of a function that has the text, as it stands in a message."""
    lines, first = inspect.getsourcelines(function)
    (place,) = (number for number, code in enumerate(lines, first) if text in code)
    return re.escape(f"training/test_device.py:{place}")


def test_planted_a_weight_of_the_positives_on_the_cpu(xrays, tmp_path):
    def loss(task, output, label):
        target, weight = label.clamp(min=0).float(), torch.tensor([2.0])
        return binary_cross_entropy_with_logits(output.squeeze(1), target, reduction="none", pos_weight=weight)

    fault = f"both devices, on the CPU those of shape \\[1\\]: {line(loss, 'pos_weight=weight')}"
    with patch.object(BinaryClassification, "loss", loss), pytest.raises(DeviceFaultError, match=fault):
        synchronisations(tmp_path, *xrays)


def test_planted_a_value_that_is_read_in_the_loop_of_the_attack(tmp_path):
    def steepest(norm, gradient, images):
        return gradient.sign() if gradient.abs().max().item() > 0 else gradient

    fault = f"_local_scalar_dense waits for the device inside the attack: {line(steepest, '.item()')}"
    with patch.object(Linf, "steepest", steepest), pytest.raises(DeviceFaultError, match=fault):
        on_digits(tmp_path, "curvature.mode=off")


def test_planted_a_fifth_synchronisation(tmp_path):
    def losses(method, task, clean, adversarial):
        both = clean.mean_loss(task.name), adversarial.mean_loss(task.name)
        assert all(loss.isfinite() for loss in both)
        return both

    reads = f"\n  _local_scalar_dense: {line(losses, 'isfinite')}[^\n]*"
    fault = f"more than 4 synchronisations:({reads}){{4}}\n  copy to the CPU: gat_lightning/gradients/"
    with patch.object(Madry, "losses", losses), pytest.raises(DeviceFaultError, match=fault):
        on_digits(tmp_path, "task=rotation curvature.mode=off")


@pytest.mark.usefixtures("two_processes")
def test_planted_a_tensor_of_the_cpu_in_a_collective(tmp_path):
    def summed(tensor):
        return sum_over_ranks(tensor.cpu()).to(tensor.device)

    fault = f"A CPU tensor in the collective c10d.allreduce_[^\n]*, called from {line(summed, 'cpu()')}"
    with patch.object(views, "sum_over_ranks", summed), pytest.raises(DeviceFaultError, match=fault):
        on_digits(tmp_path, "task=rotation curvature.mode=off")
