"""Publications that checks come from."""

ATHALYE = "Athalye, Carlini and Wagner, 'Obfuscated gradients give a false sense of security' (ICML 2018), section 3"
CARLINI = "Carlini et al., 'On evaluating adversarial robustness' (arXiv 1902.06705, 2019)"
AUTO_ATTACK = (
    "Croce and Hein, 'Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free "
    "attacks' (ICML 2020)"
)
MARGIN_LOSS = "Carlini and Wagner, 'Towards evaluating the robustness of neural networks' (S&P 2017)"
SQUARE = "Andriushchenko et al., 'Square Attack' (ECCV 2020)"
LOCAL_LINEARITY = "Qin et al., 'Adversarial robustness through local linearization' (NeurIPS 2019)"
