"""The README's Python examples run, and the options it lists are those that exist."""

import re
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from gat_lightning.config.files import find_conf

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def executed(about):
    """The variables of the only snippet that uses this."""
    (code,) = (code for code in SNIPPETS if about in code)
    torch.manual_seed(0)
    variables = {}
    exec(compile(code, str(README), "exec"), variables)
    return variables


def test_the_training_step_fills_every_gradient(capsys):
    found = executed("GradientEngine")
    assert found["step"].names == ["class/clean", "class/adv"]
    assert all(parameter.grad.abs().sum() > 0 for parameter in found["model"].parameters())
    reach = (found["adversarial"] - found["images"]).abs().max()
    assert 0 < reach <= 8 / 255 + 1e-6
    assert "class/adv" in capsys.readouterr().out


def test_the_weights_give_the_shortest_vector_of_the_hull():
    found = executed("shortest vector")
    gradients, shared = found["gradients"].double(), found["shared"].double()
    assert found["weights"].min() >= 0
    assert found["weights"].sum() == pytest.approx(1)
    assert (gradients @ shared >= (1 - 1e-4) * shared @ shared).all()


def test_the_curvature_reaches_the_trunk_through_the_input_gradients():
    found = executed("curvature_measure")
    assert found["curvature"].shape == (16,)
    assert (found["curvature"] >= 0).all()
    assert (found["curvature"] <= 4 + 1e-5).all()
    with_term = [parameter.grad for parameter in found["trunk"].parameters()]
    found["trunk"].zero_grad()
    losses = [
        cross_entropy(head(found["trunk"](found["images"])), labels)
        for head, labels in zip(found["heads"], (found["labels"], found["labels"] % 2), strict=True)
    ]
    without = torch.autograd.grad(sum(losses), list(found["trunk"].parameters()))
    assert not any(torch.allclose(*pair) for pair in zip(with_term, without, strict=True))


def test_a_checkpoint_gives_the_model_alone(quickstart):
    (code,) = (code for code in SNIPPETS if "load_classifier" in code)
    (shown,) = re.findall(r"outputs/\S+?\.ckpt", code)
    variables = {}
    exec(code.replace(shown, str(quickstart[0] / "checkpoints" / "best.ckpt")), variables)
    assert variables["model"](torch.rand(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize("group", ["data", "task", "method", "weighting", "attack", "encoder"])
def test_every_option_is_listed(group):
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{group}` |"))
    for path in (find_conf() / group).glob("*.yaml"):
        assert f"`{path.stem}`" in row, path.stem


def test_files_that_it_shows_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / target).exists(), target
