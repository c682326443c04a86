"""Threat models and attacks of evaluations, as reports compare them."""

from gat_lightning.evaluation.threat import Threat, attacks_behind


def pgd(**settings):
    return {"_target_": "gat_lightning.attacks.PGD", "norm": "Linf", "eps": "8/255", "tasks": "target", **settings}


def evaluation(**settings):
    return {"evaluation": {"pgd20": {"attack": pgd(**settings)}}, "attack": {"norm": "Linf", "eps": "8/255"}}


def test_a_radius_is_shown_as_typed_and_compared_as_a_number():
    typed, number = Threat.of_evaluation(evaluation(), "pgd20"), Threat("Linf", 8 / 255)
    assert (str(typed), str(number)) == ("Linf 8/255", "Linf 0.0313725")
    assert typed == number
    assert len({typed, number}) == 1


def test_older_evaluations_have_the_same_attacks_as_newer_ones_that_leave_new_settings_alone():
    older, newer = (attacks_behind(evaluation(**each), "pgd20") for each in ({}, {"eot": 1, "targeted": None}))
    assert older == newer
    assert attacks_behind(evaluation(eot=20, targeted=None), "pgd20") != older
    assert attacks_behind(evaluation(eot=1, targeted="random"), "pgd20") != older
