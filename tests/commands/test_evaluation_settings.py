"""Settings of an evaluation that have no effect."""

import pytest

from gat_lightning.commands.evaluate.settings import check_evaluation
from support.configurations import composed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluation=apgd_ce+fab", "attack.loss=margin"], ["attack.loss=margin has no effect"]),
        (["evaluation=apgd_ce+pgd20", "attack.loss=margin"], []),
        (["evaluation=fab", "curve.eps=[0.1]", "attack.loss=dlr"], []),
        (["evaluation=fab"], []),
        (["evaluation=fab+apgd_t", "attack.eot=20"], []),
        (["evaluation=fab+autoattack", "attack.eot=20"], ["attack.eot=20 has no effect"]),
        (["evaluation=apgd_ce", "attack.targeted=random"], ["attack.targeted=random has no effect"]),
        (["evaluation=mim", "attack.targeted=random"], []),
    ],
)
def test_a_loss_that_no_attack_takes_is_said(words, said, caplog, tmp_path):
    check_evaluation(composed("evaluate", "data=digits", "+model._target_=net.small", f"paths.run={tmp_path}", *words))
    assert [message.partition(":")[0] for message in caplog.messages] == said
