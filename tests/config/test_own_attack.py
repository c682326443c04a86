"""What was typed of an attack that the method does not take is said to be without effect."""

import pytest

from gat_lightning.commands.train import assembly
from gat_lightning.config.check import without_effect
from support.training_runs import SHORT, tiny, trained

ALL = "attack.eps, attack.norm, attack.step_size, attack.steps, attack.mode, attack.tasks"
WITH_LOSS = ALL.replace("attack.mode", "attack.loss, attack.mode")


@pytest.mark.parametrize(
    ("method", "typed", "ignored", "taken"),
    [
        ("trades", ["attack=fgsm", "attack.loss=margin"], "attack=fgsm, attack.loss=margin", ALL),
        ("mart", ["attack=pgd", "attack.restarts=3", "seed=1"], "attack=pgd, attack.restarts=3", WITH_LOSS),
        ("fat", ["++attack.random_start=none"], "++attack.random_start=none", WITH_LOSS),
        (
            "fast",
            ["attack.steps=7"],
            "attack.steps=7",
            "attack.eps, attack.norm, attack.loss, attack.mode, attack.tasks",
        ),
        (
            "fgsm",
            ["attack.step_size=0.1"],
            "attack.step_size=0.1",
            "attack.eps, attack.norm, attack.loss, attack.mode, attack.tasks",
        ),
        ("free", ["attack.mode=train"], "attack.mode=train", "attack.eps, attack.norm, attack.tasks"),
    ],
)
def test_what_the_method_does_not_take_is_named(tmp_path, method, typed, ignored, taken):
    message = without_effect(tiny(tmp_path, f"method={method}"), typed)
    assert message.startswith(f"{ignored}: without effect on the training, since ")
    assert message.endswith(f" has an attack of its own, which takes {taken} only.")


@pytest.mark.parametrize(
    ("method", "typed"),
    [
        ("trades", ["attack.eps=0.1", "attack.tasks=all", "attack@test.attack=fgsm", "test.attack.steps=3"]),
        ("madry", ["attack=fgsm", "attack.mode=train"]),
        ("self_supervised", ["attack=fgsm"]),
    ],
)
def test_nothing_is_said_of_what_counts(tmp_path, method, typed):
    assert without_effect(tiny(tmp_path, f"method={method}"), typed) is None


@pytest.mark.usefixtures("undrawn")
def test_a_run_says_so(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(assembly, "typed_overrides", lambda: ["attack.restarts=3"])
    trained(tmp_path, *SHORT, "method=trades", "task=none", "weighting=equal")
    assert [record.levelname for record in caplog.records if "attack.restarts=3: without" in record.message] == [
        "WARNING"
    ]
