"""Every training method, for steps on the toy batch."""

from functools import partial

from gat_lightning.methods import (
    Adversarial,
    Fast,
    FGSMTraining,
    Free,
    Friendly,
    Madry,
    Mart,
    SelfSupervised,
    Standard,
    Trades,
)
from support.training_steps import EPS

METHODS = {
    "standard": Standard,
    "adversarial": Adversarial,
    "madry": Madry,
    "madry_separate": partial(Madry, "separate"),
    "trades": partial(Trades, eps=EPS, steps=2),
    "trades_separate": partial(Trades, pairing="separate", eps=EPS, steps=2),
    "mart": partial(Mart, eps=EPS, steps=2),
    "mart_separate": partial(Mart, pairing="separate", eps=EPS, steps=2),
    "fgsm": partial(FGSMTraining, eps=EPS),
    "fast": partial(Fast, EPS),
    "free": partial(Free, EPS, replays=2),
    "friendly": partial(Friendly, eps=EPS, steps=2),
    "self_supervised": SelfSupervised,
}
ATTACKED = {name: method for name, method in METHODS.items() if name != "standard"}
"""Those with adversarial images."""
