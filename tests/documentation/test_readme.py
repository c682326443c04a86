"""The README fits one screen, and its example runs as printed."""

import re
from pathlib import Path

import torch

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text()


def test_it_is_short():
    assert len(TEXT.splitlines()) <= 150


def test_its_example_attacks_the_model_of_the_demo(quickstart, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (shown,) = re.findall(r"outputs/\S+?\.ckpt", code)
    found = {}
    exec(code.replace(shown, str(quickstart[0] / "checkpoints" / "best.ckpt")), found)
    reach = (found["adversarial"] - found["images"]).abs().max()
    assert 0 < reach <= 0.15 + 1e-6
    clean = (found["model"](found["images"]).argmax(1) == found["labels"]).float().mean()
    assert torch.tensor(float(re.findall(r"[\d.]+", capsys.readouterr().out)[0])) <= clean


def test_files_that_it_shows_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / target).exists(), target
