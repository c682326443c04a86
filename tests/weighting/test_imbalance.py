from __future__ import annotations

import pytest
import torch

from gat_lightning.weighting import CAAT, MGDA, Equal, Weighting, adversarial_share, imbalance

SEPARATE = ["class/clean", "class/adv", "macro/clean", "macro/adv"]
COMBINED = ["class/clean+adv", "macro/clean+adv"]
REMEDIES = "Try weighting=mgda_floor or method.pairing=combined."
WITHOUT_PAIRING = "Try weighting=mgda_floor."


def test_balanced_weights_need_no_warning() -> None:
    assert imbalance(SEPARATE, [0.3, 0.1, 0.3, 0.3], "class") is None
    assert imbalance(["class/clean+adv", "macro/clean+adv"], torch.tensor([0.1, 0.9]), "class") is None


def test_a_starved_target() -> None:
    message = imbalance(SEPARATE, [0.53, 0.02, 0.35, 0.1], "class")
    assert message == f"class/adv got only 2.0% of the weight: 'class' hardly becomes robust. {REMEDIES}"


def test_a_starved_target_with_combined_objectives() -> None:
    message = imbalance(COMBINED, torch.tensor([0.05, 0.95]), "class")
    assert message == f"class/clean+adv got only 5.0% of the weight: 'class' hardly becomes robust. {WITHOUT_PAIRING}"


def test_one_objective_that_has_it_all() -> None:
    message = imbalance(COMBINED, [0.995, 0.005], "class")
    assert message == (
        f"class/clean+adv got 99.5% of the weight: the other objectives are hardly trained. {WITHOUT_PAIRING}"
    )


@pytest.mark.parametrize(
    ("weighting", "tried"),
    [
        (MGDA(), "Try weighting=mgda_floor or weighting.normalize=l2."),
        (MGDA(normalize="l2"), "Try weighting=mgda_floor."),
        (MGDA(floor={"class/clean+adv": 0.01}), "Try weighting.normalize=l2."),
        (MGDA(floor={"macro/clean+adv": 0.1}), "Try weighting=mgda_floor or weighting.normalize=l2."),
        (MGDA(normalize="l2", floor={"target": 0.01}), "hardly becomes robust."),
        (Equal(), "Try weighting=mgda_floor."),
    ],
)
def test_what_is_in_effect_already_is_not_proposed(weighting: Weighting, tried: str) -> None:
    message = imbalance(COMBINED, [0.05, 0.95], "class", weighting.remedies())
    assert message is not None
    assert message.endswith(tried)


def test_pairing_is_not_proposed_to_a_weighting_that_needs_pairs() -> None:
    rule = CAAT()
    message = imbalance(SEPARATE, [0.53, 0.02, 0.35, 0.1], "class", rule.remedies(), rule.needs_pairs)
    assert message is not None
    assert message.endswith(WITHOUT_PAIRING)


def test_pairing_is_proposed_where_objectives_could_be_paired() -> None:
    for names in (["class/adv", "macro/adv"], ["class/adv", "macro/clean"], ["class/clean+kl", "class/curvature"]):
        message = imbalance(names, [0.05, 0.95], "class")
        assert message is not None
        assert "pairing" not in message


def test_both_at_once() -> None:
    message = imbalance(SEPARATE, [0.0, 0.0, 1.0, 0.0], "class")
    assert message is not None
    assert "class/adv got only 0.0%" in message
    assert "macro/clean got 100.0%" in message
    assert message.count("Try") == 1


@pytest.mark.parametrize("factor", [1e-3, 1.0, 40.0])
def test_only_shares_count(factor: float) -> None:
    assert imbalance(SEPARATE, [0.05 * factor, 0.2 * factor, 0.5 * factor, 0.25 * factor], "class") is None
    assert imbalance(SEPARATE, [0.25 * factor, 0.05 * factor, 0.5 * factor, 0.2 * factor], "class") is not None


def test_a_run_without_adversarial_objectives() -> None:
    assert imbalance(["class/clean", "macro/clean"], [0.01, 0.99], "class") is None
    assert adversarial_share(["class/clean", "macro/clean"], [0.01, 0.99], "class") is None


def test_the_share_of_the_target() -> None:
    assert adversarial_share(SEPARATE, [1.0, 1.0, 1.0, 1.0], "class") == pytest.approx(0.25)
    assert adversarial_share(SEPARATE, torch.tensor([0.1, 0.4, 0.2, 0.3]), "macro") == pytest.approx(0.3)
    assert adversarial_share(SEPARATE, [2.0, -2.0, 3.0, 1.0], "class") == pytest.approx(0.25)


def test_nothing_to_say() -> None:
    assert imbalance(["class/adv"], [1.0], "class") is None
    assert imbalance([], [], "class") is None
    assert imbalance(SEPARATE, [0.0] * 4, "class") is None
    assert adversarial_share(SEPARATE, [0.0] * 4, "class") is None
