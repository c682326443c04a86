"""A stranger's file cannot choose what is called."""

import pytest
import torch
from torch import nn

from gat_lightning.config.checkpoint import load_model
from gat_lightning.errors import UserError
from gat_lightning.models.trust import check_trusted


def own_classifier(**settings):
    return nn.Flatten()


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.exec",
        "subprocess.run",
        "torch.hub.load",
        "torch.load",
        "gat_lightning.runs.result.write_result",
        "gat_lightning.runs.environment.subprocess.run",
        "gat_lightning.models.weights.torch.hub.load",
        "gat_lightning.models.weights.Path.write_text",
        "torch.nn.Module.load_state_dict",
        "hydra.utils.instantiate",
        "nowhere.at_all",
        "${oc.env:HOME}",
        "",
    ],
)
@pytest.mark.parametrize("wrap", [lambda node: node, lambda node: {"a": [{"b": node}]}], ids=["plain", "nested"])
def test_functions_of_others_are_refused(name, wrap):
    with pytest.raises(ValueError, match="nothing of it was run"):
        check_trusted(wrap({"_target_": name}), "file")


@pytest.mark.parametrize(
    "name",
    [
        "gat_lightning.models.preact_resnet18",
        "gat_lightning.models.encoders.timm.timm_classifier",
        "gat_lightning.tasks.Rotation",
        "gat_lightning.data.Digits",
        "torchvision.models.resnet.ResNet",
        f"{__name__}.own_classifier",
    ],
)
def test_models_tasks_data_and_own_code_are_trusted(name):
    check_trusted({"_target_": name, "others": [1, None, "text"]}, "file")


@pytest.mark.parametrize("node", ["encoder", "task", "data"])
def test_a_checkpoint_runs_nothing_of_its_choice(quickstart, tmp_path, node):
    content = torch.load(quickstart[0] / "checkpoints" / "best.ckpt", weights_only=True)
    proof = tmp_path / "proof"
    content["gat_lightning"]["config"][node]["mine"] = {"_target_": "pathlib.Path.mkdir", "self": str(proof)}
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(UserError, match=r"names 'pathlib\.Path\.mkdir'"):
        load_model(tmp_path / "best.ckpt")
    assert not proof.exists()
