"""FAMO against Algorithm 1 of its paper, written out, and against TorchJD's."""

import math

import pytest
import torch

from gat_lightning.errors import SettingError
from gat_lightning.gradients import GradientEngine, Objective
from gat_lightning.weighting import FAMO
from support.two_task_net import TASKS, Net

LR, GAMMA = 0.025, 0.01
NOTHING = torch.empty(0, 0)
NAMES = ["a/clean", "b/clean", "c/clean"]


def softmax(logits):
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


class Written:
    """Algorithm 1 with Adam (Kingma and Ba, Algorithm 1, weight decay in the gradient), in plain Python."""

    def __init__(self, count):
        self.logits, self.first, self.second, self.calls = [0.0] * count, [0.0] * count, [0.0] * count, 0

    def weights(self, losses):
        ratios = [share / (loss + 1e-8) for share, loss in zip(softmax(self.logits), losses, strict=True)]
        return [ratio / sum(ratios) for ratio in ratios]

    def update(self, before, after):
        self.calls += 1
        z = softmax(self.logits)
        falls = [math.log(b + 1e-8) - math.log(a + 1e-8) for b, a in zip(before, after, strict=True)]
        for k in range(len(z)):
            # ∂z_i/∂ξ_k = z_i (δ_ik - z_k)
            slope = sum(z[i] * ((i == k) - z[k]) * falls[i] for i in range(len(z))) + GAMMA * self.logits[k]
            self.first[k] = 0.9 * self.first[k] + 0.1 * slope
            self.second[k] = 0.999 * self.second[k] + 0.001 * slope**2
            first, second = self.first[k] / (1 - 0.9**self.calls), self.second[k] / (1 - 0.999**self.calls)
            self.logits[k] -= LR * first / (second**0.5 + 1e-8)


def pairs(steps, count=3):
    generator = torch.Generator().manual_seed(0)
    found = torch.rand(steps, 2, count, dtype=torch.float64, generator=generator) * torch.tensor(
        [2.0, 0.1, 7.0][:count]
    )
    return [(before, after) for before, after in found]


def test_weights_follow_the_written_rule_for_many_steps():
    rule, written = FAMO(LR, GAMMA), Written(3)
    for before, after in pairs(30):
        weights = rule(NOTHING, before, NAMES)
        assert weights.tolist() == pytest.approx(written.weights(before.tolist()), rel=1e-12)
        assert weights.sum() == pytest.approx(1)
        rule.observe(after, NAMES)
        written.update(before.tolist(), after.tolist())
    assert max(map(abs, written.logits)) > 0.1


def test_weights_are_those_of_torchjd():
    scalarization = pytest.importorskip("torchjd.scalarization")
    rule, theirs = FAMO(LR, GAMMA), scalarization.FAMO(3, lr=LR, weight_decay=GAMMA).double()
    for before, after in pairs(20):
        losses = before.clone().requires_grad_()
        theirs(losses).backward()  # the gradient of what they minimise: the weights
        assert torch.allclose(rule(NOTHING, before, NAMES), losses.grad, rtol=1e-9)
        rule.observe(after, NAMES)
        theirs.update(after)


def test_an_objective_that_falls_more_slowly_gets_more_weight():
    rule = FAMO()
    for _ in range(20):
        first = rule(NOTHING, torch.tensor([1.0, 1.0]), NAMES[:2])
        rule.observe(torch.tensor([0.5, 0.99]), NAMES[:2])
    assert first[0] < 0.4 < 0.6 < first[1]


def test_objectives_may_be_missing_and_keep_their_logits():
    rule, alone = FAMO(LR, GAMMA), FAMO(LR, GAMMA)
    for before, after in pairs(5):
        rule(NOTHING, before, NAMES)
        rule.observe(after, NAMES)
    kept = rule.state()
    logits = [kept["logits"][name] for name in NAMES]
    for before, after in pairs(4):
        weights = rule(NOTHING, before[[0, 2]], ["a/clean", "c/clean"])
        z = softmax([logits[0], logits[2]])
        ratios = [share / (loss + 1e-8) for share, loss in zip(z, before[[0, 2]].tolist(), strict=True)]
        assert weights.tolist() == pytest.approx([ratio / sum(ratios) for ratio in ratios], rel=1e-12)
        rule.observe(after[[0, 2]], ["a/clean", "c/clean"])
        state = rule.state()
        assert state["logits"]["b/clean"] == kept["logits"]["b/clean"]
        assert state["moments"]["b/clean"] == kept["moments"]["b/clean"]
        logits = [state["logits"][name] for name in NAMES]
    assert alone(NOTHING, torch.tensor([0.0, 3.0, -1e-9]), NAMES).tolist() == [0, 1, 0]
    assert alone(NOTHING, torch.zeros(3), NAMES).tolist() == [0, 0, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0])
def test_a_loss_that_is_not_finite_after_the_step_leaves_its_logit(bad):
    rule, two = FAMO(LR, GAMMA), FAMO(LR, GAMMA)
    rule(NOTHING, torch.tensor([1.0, 2.0, 3.0]), NAMES)
    rule.observe(torch.tensor([0.5, bad, 2.5]), NAMES)
    two(NOTHING, torch.tensor([1.0, 3.0]), ["a/clean", "c/clean"])
    two.observe(torch.tensor([0.5, 2.5]), ["a/clean", "c/clean"])
    assert rule.state()["logits"] == {**two.state()["logits"], "b/clean": 0.0}


@pytest.mark.parametrize("cut", [0, 1, 4])
def test_a_state_of_plain_types_goes_on(cut):
    whole, first = FAMO(LR, GAMMA), FAMO(LR, GAMMA)
    for step, (before, after) in enumerate(pairs(8)):
        if step == cut:
            state, first = first.state(), FAMO(LR, GAMMA)
            first.load_state(state)
        weights = [rule(NOTHING, before, NAMES) for rule in (whole, first)]
        assert torch.equal(*weights)
        for rule in (whole, first):
            rule.observe(after, NAMES)
    assert whole.state() == first.state()
    first.load_state({})
    assert first.state() == FAMO().state()


def test_its_remedy_is_to_leave_out_the_curvature_where_there_is_one():
    rule = FAMO()
    rule.check(NAMES)
    assert rule.remedies() == ["weighting=mgda_floor"]
    rule.check([*NAMES, "b/curvature"])
    assert rule.remedies() == ["curvature.mode=off", "weighting=mgda_floor"]


def test_what_it_cannot_weigh_is_refused():
    with pytest.raises(ValueError, match=r"'b/clean' is -0\.5"):
        FAMO()(NOTHING, torch.tensor([1.0, -0.5]), NAMES[:2])
    with pytest.raises(ValueError, match="needs the losses"):
        FAMO()(torch.eye(2))
    for arguments in ({"lr": 0.0}, {"gamma": -1.0}):
        with pytest.raises(SettingError):
            FAMO(**arguments)
    for settings, said in (({"solve_every": 2}, "solve_every"), ({"space": "representation"}, "space")):
        with pytest.raises(SettingError, match=f"{said}=.*FAMO"):
            GradientEngine([], {}, FAMO(), **settings)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_step_is_one_backward_pass_of_the_weighted_sum_with_the_joined_losses(parts, fixed):
    torch.manual_seed(0)
    model, passes = Net().double(), []
    model.first.register_forward_hook(
        lambda module, inputs, output: output.register_hook(lambda gradient: passes.append(len(gradient))) and None
    )
    engine = GradientEngine(model.shared, {task: model.heads[task].parameters() for task in TASKS}, FAMO())
    images = torch.randn(8, 4, dtype=torch.float64)
    labels = {task: torch.randint(classes, (8,)) for task, classes in TASKS.items()}

    def objectives(rows):
        features = model.encode(images[rows])
        losses = model.losses(features, {task: label[rows] for task, label in labels.items()})
        found = [Objective(f"{task}/clean", task, loss.sum() / 8) for task, loss in losses.items()]
        penalty = [Objective("penalty", None, found[0].loss ** 2, weight=0.5)] if fixed else []
        return [*found, *penalty]

    for rows in torch.arange(8).chunk(parts):
        engine.accumulate(objectives(rows))
    step = engine.finish()
    assert len(passes) == parts
    computed = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    chunks = [objectives(rows) for rows in torch.arange(8).chunk(parts)]
    losses = [sum(chunk[k].loss for chunk in chunks) for k in range(2)]
    assert step.losses.tolist() == pytest.approx([loss.item() for loss in losses], rel=1e-12)
    assert step.weights.tolist() == pytest.approx(Written(2).weights(step.losses.tolist()), rel=1e-12)
    total = sum(weight * loss for weight, loss in zip(step.weights.tolist(), losses, strict=True))
    (total + sum(0.5 * chunk[2].loss for chunk in chunks if fixed)).backward()
    for gradient, parameter in zip(computed, model.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, rtol=1e-10)
    assert (step.solved, step.gramian) == (True, None)
