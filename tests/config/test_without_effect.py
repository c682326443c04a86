"""What was chosen and has no effect on the training is warned of, and nothing else is."""

import pytest
from omegaconf import OmegaConf

from gat_lightning.commands.train import assembly
from gat_lightning.config.unlabeled import UnlabeledMode
from gat_lightning.config.without_effect import without_effect
from support.configurations import composed
from support.training_runs import SHORT, tiny

ALL = "attack.eps, attack.norm, attack.step_size, attack.steps, attack.mode, attack.tasks"
WITH_LOSS = ALL.replace("attack.mode", "attack.loss, attack.mode")
ONE_STEP = "attack.eps, attack.norm, attack.loss, attack.mode, attack.tasks"
NO_IMAGES = "Standard makes no adversarial images (scores use validation.attack and test.attack)"


@pytest.fixture(scope="module")
def of_two_tasks():
    return composed("train", "paths.run=run", "task=macro")


def warnings_of(config, *changed, mode="off", typed=()):
    config = OmegaConf.merge(config, OmegaConf.from_dotlist(list(changed)))
    return list(without_effect(config, UnlabeledMode(mode), typed))


@pytest.mark.parametrize(
    ("method", "typed", "ignored", "taken"),
    [
        ("trades", ["attack=fgsm", "attack.loss=margin"], "attack=fgsm, attack.loss=margin", ALL),
        ("mart", ["attack=pgd", "attack.restarts=3", "seed=1"], "attack=pgd, attack.restarts=3", WITH_LOSS),
        ("fat", ["++attack.random_start=none"], "++attack.random_start=none", WITH_LOSS),
        ("fast", ["attack.steps=7"], "attack.steps=7", ONE_STEP),
        ("fgsm", ["attack.step_size=0.1"], "attack.step_size=0.1", ONE_STEP),
        ("free", ["attack.mode=train"], "attack.mode=train", "attack.eps, attack.norm, attack.tasks"),
    ],
)
def test_settings_of_the_attack_that_the_method_does_not_take(tmp_path, method, typed, ignored, taken):
    (message,) = without_effect(tiny(tmp_path, f"method={method}"), UnlabeledMode("off"), typed)
    assert message.startswith(f"{ignored}: no effect on the training, because ")
    assert message.endswith(f" has its own attack, which takes only {taken}.")


def test_the_attack_of_a_training_on_clean_images_gives_its_scores_norm_and_radius(of_two_tasks):
    typed = ["attack.eps=0.1", "attack.norm=L2", "attack.steps=7"]
    (message,) = warnings_of(of_two_tasks, "method._target_=gat_lightning.methods.Standard", typed=typed)
    assert message == f"attack.steps=7: no effect on the training, because {NO_IMAGES}."


@pytest.mark.parametrize(
    ("method", "typed"),
    [
        ("trades", ["attack.eps=0.1", "attack.tasks=all", "attack@test.attack=fgsm", "test.attack.steps=3"]),
        ("madry", ["attack=fgsm", "attack.mode=train"]),
        ("self_supervised", ["attack=fgsm"]),
    ],
)
def test_nothing_is_said_of_an_attack_that_counts(method, typed):
    assert not warnings_of(composed("train", "paths.run=run", f"method={method}"), typed=typed)


OFF = "curvature.mode=off"
SINGLE = "curvature terms compare two tasks, and there is only one"


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        (["curvature.derivative=finite_difference"], OFF),
        (["curvature.every=10"], OFF),
        (["curvature.coefficient=0.5"], OFF),
        (["curvature.step=0.1", "curvature.scheme=central"], OFF),
        (["curvature.mode=penalty", "curvature.every=10"], SINGLE),
        (["curvature.coefficient=0.5"], "it belongs to curvature.mode=penalty"),
        (["curvature.step=0.1", "curvature.scheme=central"], "curvature.derivative=exact"),
    ],
)
def test_settings_of_curvature_terms_that_are_not_taken(of_two_tasks, chosen, reason):
    where = {OFF: ["curvature.mode='off'"], SINGLE: ["data.target=none"]}.get(reason, [])
    (message,) = warnings_of(of_two_tasks, *where, *chosen)
    assert message == f"{', '.join(chosen)}: no effect on the training, because {reason}."


PENALTY = ["curvature.mode=penalty", "curvature.coefficient=0.5", "curvature.every=10"]
DIFFERENCES = ["curvature.derivative=finite_difference", "curvature.step=0.1", "curvature.scheme=central"]


def test_nothing_is_said_of_curvature_settings_that_count(of_two_tasks):
    assert not warnings_of(of_two_tasks, *PENALTY, *DIFFERENCES)


@pytest.mark.parametrize(
    ("mode", "chosen"),
    [
        ("off", ["unlabeled.coefficient=5"]),
        ("off", ["unlabeled.teacher=ema", "unlabeled.soft=True", "unlabeled.teacher_epochs=3"]),
        ("pseudo_label", ["unlabeled.images=all", "unlabeled.ramp=0.5", "unlabeled.detach=True"]),
        ("consistency", ["unlabeled.weight=0.5", "unlabeled.confidence=0.9"]),
    ],
)
def test_settings_of_a_way_to_learn_from_unlabelled_images_that_is_not_chosen(of_two_tasks, mode, chosen):
    (message,) = warnings_of(of_two_tasks, *chosen, mode=mode)
    assert message == f"{', '.join(chosen)}: no effect on the training, because unlabeled.mode={mode}."


def test_only_the_standard_teacher_is_trained(of_two_tasks):
    (message,) = warnings_of(of_two_tasks, "unlabeled.teacher=ema", "unlabeled.teacher_epochs=3", mode="pseudo_label")
    assert message.endswith("because it belongs to unlabeled.teacher=standard.")
    assert not warnings_of(of_two_tasks, "unlabeled.teacher_epochs=3", "unlabeled.coefficient=5", mode="both")


@pytest.mark.parametrize("experiment", ["quickstart", "recommended_cpu", "paper/table8"])
def test_no_preset_is_warned_of(experiment):
    config = composed("train", "paths.run=run", f"experiment={experiment}")
    for mode in ("off", "pseudo_label", "consistency", "both"):
        assert not list(without_effect(config, UnlabeledMode(mode), []))


def assembled(directory, *overrides):
    assembly.assemble(tiny(directory, *SHORT, "task=none", "weighting=equal", "curvature.every=2", *overrides), None)


def test_a_run_says_so(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(assembly, "typed_overrides", lambda: ["attack.restarts=3"])
    assembled(tmp_path, "method=trades")
    said = [record for record in caplog.records if ": no effect on the training" in record.message]
    assert [record.message.partition(":")[0] for record in said] == ["attack.restarts=3", "curvature.every=2"]
    assert {record.levelname for record in said} == {"WARNING"}


def test_a_stage_does_not_warn_of_the_settings_of_its_run(tmp_path, caplog):
    (tmp_path / ".hydra").mkdir()
    assembled(tmp_path / "teacher", "method=standard")
    assert not [record for record in caplog.records if "no effect" in record.message]
