"""The difference quotient against the double backward."""

import pytest
import torch

from gat_lightning.curvature.terms import Curvature
from gat_lightning.errors import SettingError
from support.two_heads import TwoHeads, clean_pass

NAMES = ["class", "macro", "rotation"]


def setting(seed=0):
    torch.manual_seed(seed)
    model = TwoHeads().double()
    images = torch.rand(7, 1, 2, 3, dtype=torch.float64)
    labels = [torch.randint(n, (7,)) for n in (4, 3, 2)]
    labels[1][2] = labels[2][5] = labels[0][5] = -1
    return model, images, labels


def terms(model, images, labels, passes=None, **settings):
    def losses_at(clean, displaced, task):
        if passes is not None:
            passes.append(task)
        return model.losses(displaced, labels)[NAMES.index(task)]

    objectives = Curvature(**settings)(clean_pass(model, images, labels), NAMES, losses_at)
    return [
        objective.loss if objective.weight is None else objective.weight * objective.loss for objective in objectives
    ]


def gradient(model, loss):
    found = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True)
    return torch.cat([piece.flatten() for piece in found if piece is not None])


@pytest.mark.parametrize("mode", ["objective", "penalty"])
@pytest.mark.parametrize(("scheme", "order"), [("forward", 1), ("central", 2)])
def test_the_error_falls_with_the_order_of_the_scheme(mode, scheme, order):
    model, images, labels = setting()
    exact = terms(model, images, labels, mode=mode, coefficient=0.3)
    errors = []
    for step in (1e-2, 1e-3):
        settings = {"mode": mode, "coefficient": 0.3, "derivative": "finite_difference", "step": step, "scheme": scheme}
        found = terms(model, images, labels, **settings)
        assert len(found) == len(exact)
        for value, expected in zip(found, exact, strict=True):
            assert value.item() == pytest.approx(expected.item(), rel=1e-12)
        errors.append(
            max(
                (gradient(model, a) - gradient(model, b)).norm() / gradient(model, b).norm()
                for a, b in zip(found, exact, strict=True)
            )
        )
    assert errors[0] < 0.05
    assert errors[1] < errors[0] * 10 ** (0.5 - order)


@pytest.mark.parametrize(
    ("mode", "scheme", "count"),
    [("objective", "forward", 5), ("penalty", "forward", 3), ("objective", "central", 10), ("penalty", "central", 6)],
)
def test_the_number_of_passes(mode, scheme, count):
    """M(M+1)/2 - 1 for the objectives of M = 3 tasks, M for the penalty; twice as many for central differences."""
    model, images, labels = setting()
    passes = []
    terms(model, images, labels, passes, mode=mode, derivative="finite_difference", scheme=scheme)
    assert len(passes) == count


def test_samples_without_both_labels_have_no_part():
    model, images, labels = setting()
    labels = [label.fill_(-1) if k else label for k, label in enumerate(labels)]
    for loss in terms(model, images, labels, mode="objective", derivative="finite_difference"):
        assert loss.item() == 0
        assert gradient(model, loss).abs().max() == 0


@pytest.mark.parametrize("derivative", ["exact", "finite_difference"])
def test_certain_predictions_leave_the_parameters_finite(derivative):
    """Input gradients are about 1e-40 there, and ∂ξ/∂g is beyond the range of float32."""
    model, images, labels = setting()
    model, images, labels = model.float(), images.float(), [torch.zeros_like(label) for label in labels]
    with torch.no_grad():
        for head in model.heads:
            head.bias[0] = 91
    for loss in terms(model, images, labels, mode="objective", derivative=derivative):
        assert 0 < loss.item() <= 4 * 2
        assert gradient(model, loss).isfinite().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"step": 0}, "step=0: it must be a number above 0"), ({"scheme": "back"}, "scheme='back'")],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Curvature(**settings)
