"""Rules of TorchJD through the adapter, against TorchJD's own objects."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gat_lightning.errors import NonFiniteError, SettingError
from gat_lightning.randomness import generator_for
from gat_lightning.weighting import TorchJD

aggregation = pytest.importorskip("torchjd.aggregation", reason="the extra torchjd is not installed")

NAMES = ["class/clean", "class/adv", "macro/clean", "macro/adv"]
BY_NAME = {"class/clean": 1.0, "class/adv": 2.0, "macro/clean": 0.5, "macro/adv": 1.5}
VECTOR = torch.tensor(list(BY_NAME.values()), dtype=torch.float64)
RULES: dict[str, tuple[str, dict[str, Any] | None, Any]] = {
    "AlignedMTL": ("AlignedMTL", {"pref_vector": BY_NAME}, lambda: aggregation.AlignedMTLWeighting(VECTOR)),
    "CAGrad": ("CAGrad", {"c": 0.5}, lambda: aggregation.CAGradWeighting(0.5)),
    "DualProj": ("DualProj", None, lambda: aggregation.DualProjWeighting()),
    "FairGrad": ("FairGrad", None, lambda: aggregation.FairGradWeighting(2.0)),
    "FairGrad, alpha 1": ("FairGrad", {"alpha": 1}, lambda: aggregation.FairGradWeighting(1.0)),
    "GradVac": ("GradVac", {"beta": 0.1}, lambda: aggregation.GradVacWeighting(0.1)),
    "IMTLG": ("IMTLG", None, lambda: aggregation.IMTLGWeighting()),
    "Krum": ("Krum", {"n_byzantine": 1}, lambda: aggregation.KrumWeighting(1)),
    "MGDA": ("MGDA", {"max_iters": 20}, lambda: aggregation.MGDAWeighting(max_iters=20)),
    "PCD": ("PCD", {"tau": 0.1, "beta": 0.9}, lambda: aggregation.PCDWeighting(0.1, 0.9)),
    "PCGrad": ("PCGrad", None, lambda: aggregation.PCGradWeighting()),
    "UPGrad": ("UPGrad", {"pref_vector": BY_NAME}, lambda: aggregation.UPGradWeighting(VECTOR)),
    "CRMOGM": (
        "CRMOGM",
        {"weighting": "IMTLG", "initial_weights": BY_NAME},
        lambda: aggregation.CRMOGMWeighting(aggregation.IMTLGWeighting(), initial_weights=VECTOR),
    ),
    "CRMOGM around a rule with a state": (
        "CRMOGM",
        {"weighting": {"rule": "GradVac", "arguments": {"beta": 0.3}}, "alpha": 0.7},
        lambda: aggregation.CRMOGMWeighting(aggregation.GradVacWeighting(0.3), alpha=0.7),
    ),
}
STATEFUL = ["GradVac", "PCD", "CRMOGM", "CRMOGM around a rule with a state"]
WITH_DRAWS = ["GradVac", "PCGrad"]


def gramian(rng: np.random.Generator, count: int = len(NAMES)) -> Tensor:
    jacobian = (rng.standard_normal((count, 12)) + 0.3) * 10 ** rng.uniform(-1, 1, (count, 1))
    return torch.from_numpy(jacobian @ jacobian.T)


def steps(count: int) -> Iterator[tuple[Tensor, list[str]]]:
    """Gramians and names, from which objectives are missing at times."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        names = [name for name in NAMES if rng.random() < 0.7] or NAMES[:1]
        yield gramian(rng, len(names)), names


def adapter(label: str, seed: int = 3) -> TorchJD:
    rule, arguments, _ = RULES[label]
    try:
        return TorchJD(rule, arguments, seed)
    except ImportError as error:
        pytest.skip(str(error))


def test_every_rule_over_a_gramian_is_compared() -> None:
    kinds = {name.removesuffix("Weighting") for name in aggregation.__all__ if name.endswith("Weighting")}
    refused = {"", "Constant", "ExcessMTL", "Mean", "MoDo", "Random", "SDMGrad", "Sum"}
    assert kinds - refused == {rule for rule, _, _ in RULES.values()}


@pytest.mark.parametrize("count", [8, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("label", RULES)
def test_weights_are_torchjds_own(label: str, count: int) -> None:
    ours, theirs = adapter(label), RULES[label][2]()
    ours.check(NAMES)
    rng, before = np.random.default_rng(1), torch.get_rng_state()
    for call in range(count):
        matrix = gramian(rng)
        found = ours(matrix.clone(), None, NAMES)
        assert torch.equal(torch.get_rng_state(), before)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_for(3, "torchjd", call).initial_seed())
            expected = theirs(matrix)
        assert found.dtype == torch.float64
        assert torch.equal(found, expected)


@pytest.mark.parametrize("label", [label for label in RULES if label != "Krum"])
def test_a_run_goes_on_where_it_was_interrupted(label: str) -> None:
    whole, first = adapter(label), adapter(label)
    sequence = list(steps(9))
    expected = [whole(matrix, None, names).tolist() for matrix, names in sequence]
    found = [first(matrix, None, names).tolist() for matrix, names in sequence[:4]]
    buffer = io.BytesIO()
    torch.save(first.state(), buffer)
    buffer.seek(0)
    first(torch.eye(4), None, NAMES)
    second = adapter(label)
    second.load_state(torch.load(buffer, weights_only=True))
    torch.rand(3)
    found += [second(matrix, None, names).tolist() for matrix, names in sequence[4:]]
    assert found == expected
    assert second.state() == whole.state()
    assert bool(whole.state()["buffers"]) == (label in STATEFUL)


@pytest.mark.parametrize("label", WITH_DRAWS)
def test_draws_follow_from_the_seed_and_the_step(label: str) -> None:
    matrix = torch.eye(4, dtype=torch.float64) * 1.3 - 0.3
    matrix[0, 1] = matrix[1, 0] = -0.6
    drawn = [[adapter(label, seed)(matrix).tolist() for _ in range(2)] for seed in range(6)]
    assert all(first == second for first, second in drawn)
    assert len({tuple(first) for first, _ in drawn}) > 1
    rule = adapter("PCGrad")
    assert len({tuple(rule(matrix).tolist()) for _ in range(6)}) > 1


def test_what_a_rule_keeps_follows_its_objectives() -> None:
    plain, moved = adapter("CRMOGM"), adapter("CRMOGM")
    rng = np.random.default_rng(2)
    for _ in range(4):
        matrix, order = gramian(rng), rng.permutation(4)
        permuted = moved(matrix[order][:, order], None, [NAMES[index] for index in order])
        assert permuted.tolist() == pytest.approx(plain(matrix, None, NAMES)[order].tolist(), rel=1e-9)


def test_an_objective_that_is_missing_keeps_its_own_and_one_that_is_new_joins() -> None:
    rule = TorchJD("CRMOGM", {"weighting": "IMTLG", "alpha": 0.9})
    single, averages = aggregation.IMTLGWeighting(), dict[str, float]()
    for matrix, names in [(torch.eye(1, dtype=torch.float64), NAMES[1:2]), *steps(12)]:
        weights = dict(zip(names, single(matrix).tolist(), strict=True))
        averages |= {name: 0.9 * averages.get(name, each) + 0.1 * each for name, each in weights.items()}
        assert rule(matrix, None, names).tolist() == pytest.approx([averages[name] for name in names], rel=1e-12)
    assert rule.state()["buffers"]["_lambda"] == pytest.approx(averages, rel=1e-12)


def test_the_state_of_another_weighting_is_none() -> None:
    matrix, names = next(steps(1))
    for state in ({"calls": 5}, adapter("PCD").state(), {}):
        rule, fresh = adapter("GradVac"), adapter("GradVac")
        rule.load_state(state)
        assert rule.state() == fresh.state()
        assert rule(matrix, None, names).tolist() == fresh(matrix, None, names).tolist()


@pytest.mark.parametrize(
    ("rule", "arguments", "message"),
    [
        *[
            (rule, None, f"rule='{rule}'.*one of: AlignedMTL.*TorchJD's {rule} takes the Jacobian")
            for rule in ("ExcessMTL", "MoDo", "SDMGrad", "Random")
        ],
        *[
            (rule, None, f"rule='{rule}'.*TorchJD's {rule} has no weighting class")
            for rule in ("NashMTL", "ConFIG", "GradDrop", "TrimmedMean")
        ],
        ("fairgrad", None, r"rule='fairgrad'.*did you mean FairGrad\?"),
        ("FairGradWeighting", None, r"did you mean FairGrad\?"),
        ("FairGrad", {"alfa": 1}, r"arguments=.*of alpha, max_iters.*did you mean alpha\?"),
        ("PCGrad", {"c": 1}, "arguments=.*empty for PCGrad"),
        ("Krum", None, r"arguments=None.*Krum has no default for, \{n_byzantine: VALUE\}"),
        ("FairGrad", {"alpha": [1, 2]}, r"arguments\.alpha=\[1, 2\]: it must be a number, a word, or"),
        ("CRMOGM", {"weighting": "MoDo"}, r"arguments\.weighting\.rule='MoDo'.*takes the Jacobian"),
        ("CRMOGM", {"weighting": {"rule": "PCD", "arguments": {"t": 1}}}, r"arguments\.weighting\.arguments=.*of tau"),
        ("CRMOGM", {"weighting": 0.5}, r"arguments\.weighting=0\.5: it must be the name of a rule"),
    ],
)
def test_what_is_no_rule_over_a_gramian_is_refused(rule: str, arguments: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        TorchJD(rule, arguments)


@pytest.mark.parametrize(
    ("rule", "arguments", "message"),
    [
        ("AlignedMTL", {"pref_vector": {"class/clean": 1.0}}, r"a number for each objective, also for class/adv"),
        ("AlignedMTL", {"pref_vector": {**BY_NAME, "class/avd": 1}}, r"names 'class/avd', which is not an objective"),
        ("Krum", {"n_byzantine": 2}, r"TorchJD's Krum cannot weigh class/clean, .*at least 5 rows"),
        ("FairGrad", {"alpha": "one"}, r"TorchJD's FairGrad cannot weigh .* with arguments {'alpha': 'one'}: "),
    ],
)
def test_arguments_that_do_not_fit_the_objectives_are_refused(
    rule: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TorchJD(rule, arguments).check(NAMES)


def test_weights_that_are_not_finite_are_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = TorchJD("PCD")
    rule(torch.eye(2))
    before = rule.state()
    monkeypatch.setattr(aggregation.PCDWeighting, "forward", lambda self, matrix: matrix.diagonal() * torch.inf)
    with pytest.raises(NonFiniteError, match="TorchJD's PCD found weights that are not finite"):
        rule(torch.eye(2))
    assert rule.state() == before
