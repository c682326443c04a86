import mpmath
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gat_lightning.curvature.measures import cosine, curvature_measure, magnitude_similarity
from gat_lightning.curvature.terms import Curvature, curvature_losses, input_gradients
from gat_lightning.errors import SettingError
from support.two_heads import TwoHeads, clean_pass

mpmath.mp.dps = 120


def exact(first, second):
    """Definition 3.4 with 120 digits."""
    a = [mpmath.mpf(float(x)) for x in first]
    b = [mpmath.mpf(float(x)) for x in second]
    dot = mpmath.fdot(a, b)
    aa, bb = mpmath.fdot(a, a), mpmath.fdot(b, b)
    plus = sum((x + y) ** 2 for x, y in zip(a, b, strict=True))
    minus = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    if aa == 0 or bb == 0 or plus == 0:
        return 0.0
    return float((1 - dot**2 / (aa * bb)) * minus / plus)


def exact_derivative(first, second):
    """∂ξ/∂``first`` of definition 3.4 with 120 digits."""
    a = [mpmath.mpf(float(x)) for x in first]
    b = [mpmath.mpf(float(x)) for x in second]
    dot, aa, bb = mpmath.fdot(a, b), mpmath.fdot(a, a), mpmath.fdot(b, b)
    plus = aa + 2 * dot + bb
    across, ratio = 1 - dot**2 / (aa * bb), (aa - 2 * dot + bb) / plus
    return [
        2 * dot / (aa * bb) * (dot / aa * x - y) * ratio + 2 * across / plus * (x - y - ratio * (x + y))
        for x, y in zip(a, b, strict=True)
    ]


def relative_error(found, expected):
    difference = [mpmath.mpf(float(x)) - y for x, y in zip(found, expected, strict=True)]
    return float(mpmath.norm(difference) / mpmath.norm(expected))


def value_and_derivatives(first, second):
    """Of ξ of two vectors."""
    a, b = first[None].clone().requires_grad_(), second[None].clone().requires_grad_()
    value = curvature_measure(a, b)
    return value.item(), [gradient[0] for gradient in torch.autograd.grad(value.sum(), (a, b))]


VECTORS = arrays.arrays("float64", 5, elements=st.floats(-1, 1, allow_subnormal=False))


@given(VECTORS, VECTORS, st.sampled_from([1.0, 1e-23, 1e-120, 1e30, 1e120]), st.sampled_from([1.0, 1e-12, 1e8]))
def test_measure_equals_its_definition_at_every_scale(first, second, scale, ratio):
    a, b = torch.from_numpy(first) * scale, torch.from_numpy(second) * scale * ratio
    value = curvature_measure(a[None], b[None]).item()
    assert value == pytest.approx(exact(a, b), rel=1e-9, abs=1e-12)
    assert 0 <= value <= 4 + 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-23, 1e-3, 1.0, 1e15])
def test_special_pairs(dtype, scale):
    torch.manual_seed(0)
    g, across = torch.randn(2, 4, 3, 2, dtype=dtype)
    across -= g * ((across * g).sum((1, 2)) / g.square().sum((1, 2)))[:, None, None]
    g, across = g * scale, across * scale
    nearly = {torch.float32: 1e-3, torch.float64: 1e-6}[dtype]
    zero = torch.zeros_like(g)
    for first, second, expected in (
        (g, g, 0.0),
        (g, 2 * g, 0.0),
        (g, -g, 0.0),
        (g, -2 * g, 0.0),
        (g, zero, 0.0),
        (zero, g, 0.0),
        (zero, zero, 0.0),
        (g, -g + nearly * across, 4.0),
    ):
        a, b = first.clone().requires_grad_(), second.clone().requires_grad_()
        value = curvature_measure(a, b)
        assert torch.allclose(value, torch.full_like(value, expected), atol=1e-4 if expected else 1e-9)
        for gradient in torch.autograd.grad(value.sum(), (a, b)):
            assert gradient.isfinite().all()
    assert (curvature_measure(g, zero) == 0).all()
    assert (curvature_measure(g, -g) == 0).all()


@pytest.mark.parametrize("difference", [1e-1, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 7, 48]), st.sampled_from([-76, -10, 0, 66]))
def test_nearly_opposite_gradients_of_float32(difference, seed, size, exponent):
    a, direction = torch.randn(2, size, generator=torch.Generator().manual_seed(seed))
    across = direction - a * (direction @ a) / (a @ a)
    b = -a + difference * a.norm() * (across / across.norm() + 0.3 * a / a.norm())
    total = (a + b).double()
    along = total @ b.double() / (total.norm() * b.double().norm())
    assume(total.norm() > 0.5 * difference * a.norm() and along.abs() < 0.99)  # else b was rounded to a multiple of a
    a, b = a * 2.0**exponent, b * 2.0**exponent
    value, derivatives = value_and_derivatives(a, b)
    assert value == pytest.approx(exact(a, b), rel=1e-4)
    for found, expected in zip(derivatives, (exact_derivative(a, b), exact_derivative(b, a)), strict=True):
        assert relative_error(found, expected) < 1e-4


@pytest.mark.parametrize("first", [1e-44, 1e-40, 1e-23, 1.0, 3e38])
@pytest.mark.parametrize("second", [1e-40, 1e-23, 1.0, 3e38])
def test_entries_at_the_ends_of_float32(first, second):
    """A derivative beyond the range of float32 is finite and has the right sign."""
    a, b = torch.rand(2, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    a, b = a / a.abs().max() * first, b / b.abs().max() * second
    value, derivatives = value_and_derivatives(a, b)
    assert value == pytest.approx(exact(a, b), rel=1e-4)
    largest = mpmath.mpf(2) ** 118 * (1 - mpmath.mpf(2) ** -24)
    for found, expected in zip(derivatives, (exact_derivative(a, b), exact_derivative(b, a)), strict=True):
        assert found.isfinite().all()
        assert relative_error(found, [min(max(x, -largest), largest) for x in expected]) < 1e-4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_has_no_curvature(value):
    good, bad = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    bad[1, 2] = value
    for found in (curvature_measure(good, bad), curvature_measure(bad, good), cosine(good, bad)):
        assert found.isnan().tolist() == [False, True, False]


def test_derivative_is_exactly_zero_where_the_measure_is_not_defined():
    g = torch.randn(3, 5, dtype=torch.float64)
    for second in (torch.zeros_like(g), -g):
        a, b = g.clone().requires_grad_(), second.clone().requires_grad_()
        for gradient in torch.autograd.grad(curvature_measure(a, b).sum(), (a, b)):
            assert (gradient == 0).all()


@given(VECTORS, VECTORS, st.sampled_from([1.0, 1e-23, 1e20]))
def test_derivative_of_scaled_gradients_is_the_scaled_derivative(first, second, scale):
    """ξ does not change when both gradients are scaled, so its derivative scales by the inverse."""

    def derivative(factor):
        a = (torch.from_numpy(first)[None] * factor).requires_grad_()
        b = (torch.from_numpy(second)[None] * factor).requires_grad_()
        return torch.autograd.grad(curvature_measure(a, b).sum(), (a, b))

    largest = max(abs(first).max(), abs(second).max())
    if largest < 1e-3 or min(abs(first).max(), abs(second).max()) < 1e-3 * largest or abs(first + second).max() < 1e-3:
        return
    for plain, scaled in zip(derivative(1.0), derivative(scale), strict=True):
        assert torch.allclose(scaled * scale, plain, rtol=1e-8, atol=1e-8)


def test_first_and_second_derivative_against_finite_differences():
    torch.manual_seed(0)
    a = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    b = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(curvature_measure, (a, b))
    assert torch.autograd.gradgradcheck(curvature_measure, (a, b))


@given(VECTORS, VECTORS, st.sampled_from([1.0, 1e-100, 1e100]))
def test_cosine_and_magnitude_similarity(first, second, scale):
    a, b = torch.from_numpy(first)[None] * scale, torch.from_numpy(second)[None] * scale
    x, y = [mpmath.mpf(float(v)) for v in a[0]], [mpmath.mpf(float(v)) for v in b[0]]
    aa, bb = mpmath.fdot(x, x), mpmath.fdot(y, y)
    expected = float(mpmath.fdot(x, y) / mpmath.sqrt(aa * bb)) if aa and bb else 0.0
    assert cosine(a, b).item() == pytest.approx(expected, abs=1e-9)
    similarity = float(2 * mpmath.sqrt(aa * bb) / (aa + bb)) if aa + bb else 0.0
    assert magnitude_similarity(a, b).item() == pytest.approx(similarity, abs=1e-9)


def by_hand(model, images, labels):
    """Eq. 5 for tasks 2 and 3 with a loop over samples, from single-sample gradients."""
    gradients = []
    for i in range(len(images)):
        x = images[i : i + 1].detach().requires_grad_()
        losses = model.losses(x, [label[i : i + 1] for label in labels])
        gradients.append([torch.autograd.grad(loss.sum(), x, create_graph=True)[0].flatten() for loss in losses])
    terms = []
    for j in (1, 2):
        term = 0
        for k in range(j):
            values = []
            for i in range(len(images)):
                if labels[j][i] != -1 and labels[k][i] != -1:
                    a, b = gradients[i][j], gradients[i][k]
                    cos = a @ b / (a.norm() * b.norm())
                    values.append((1 - cos**2) * (a - b).norm() ** 2 / (a + b).norm() ** 2)
            term = term + sum(values) / len(values)
        terms.append(term)
    return terms


def test_curvature_objectives_and_their_parameter_gradients():
    torch.manual_seed(0)
    model = TwoHeads().double()
    images = torch.rand(7, 1, 2, 3, dtype=torch.float64)
    labels = [torch.randint(n, (7,)) for n in (4, 3, 2)]
    labels[1][2] = labels[2][5] = labels[0][5] = -1

    def terms():
        clean = clean_pass(model, images, labels)
        return curvature_losses(clean, input_gradients(clean, ["class", "macro", "rotation"], True))

    computed = terms()
    assert list(computed) == ["macro", "rotation"]
    for value, expected in zip(computed.values(), by_hand(model, images, labels), strict=True):
        assert value.item() == pytest.approx(expected.item(), rel=1e-10)

    weight = model.trunk.weight
    for name in ("macro", "rotation"):
        analytic = torch.autograd.grad(terms()[name], weight)[0]
        numeric = torch.zeros_like(weight)
        for position in range(weight.numel()):
            original = weight.data.view(-1)[position].item()
            sides = []
            for offset in (1e-6, -1e-6):
                weight.data.view(-1)[position] = original + offset
                sides.append(terms()[name].item())
            weight.data.view(-1)[position] = original
            numeric.view(-1)[position] = (sides[0] - sides[1]) / 2e-6
        assert (analytic - numeric).abs().max() < 1e-6 * max(1.0, float(numeric.abs().max()))


def no_passes(images, task):
    raise AssertionError("an exact derivative needs no displaced pass")


def test_modes():
    torch.manual_seed(0)
    model = TwoHeads().double()
    names = ["class", "macro", "rotation"]
    clean = clean_pass(model, torch.rand(4, 1, 2, 3, dtype=torch.float64), [torch.randint(2, (4,)) for _ in names])
    objectives = Curvature("objective")(clean, names, no_passes)
    assert [objective.name for objective in objectives] == ["macro/curvature", "rotation/curvature"]
    assert [objective.weight for objective in objectives] == [None, None]
    total = sum(objective.loss for objective in objectives)
    (penalty,) = Curvature("penalty", coefficient=0.5)(clean, names, no_passes)
    assert penalty.weight == 0.5
    assert penalty.loss.item() == pytest.approx(total.item())
    assert Curvature("off")(clean, names, no_passes) == []
    assert Curvature("objective")(clean, names[:1], no_passes) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "on"}, "mode='on': it must be one of: objective, penalty, off"),
        ({"derivative": "none"}, "derivative='none'"),
        ({"coefficient": -1}, "coefficient=-1: it must be a number of at least 0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Curvature(**settings)
