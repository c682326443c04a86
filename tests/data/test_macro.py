import pytest
import torch
from omegaconf import OmegaConf

from gat_lightning.data.macro import macro_label, macro_of_class
from gat_lightning.errors import UserError

CLASSES = ("car", "ship", "cat", "dog")


@pytest.mark.parametrize(
    "macro",
    [
        {"vehicle": [0, 1], "animal": [3, 2]},
        {"vehicle": ["ship", "car"], "animal": ("cat", "dog")},
        {"vehicle": [0, "ship"], "animal": ["cat", 3]},
        OmegaConf.create({"vehicle": [0, 1], "animal": [2, 3]}),
    ],
)
def test_macro_class_of_every_class(macro):
    assert macro_of_class(macro, CLASSES).tolist() == [0, 0, 1, 1]


def test_missing_label_stays_missing():
    assert macro_label(torch.tensor([3, -1, 0, 2]), torch.tensor([0, 0, 1, 1])).tolist() == [1, -1, 0, 1]


@pytest.mark.parametrize(
    ("macro", "message"),
    [
        ({"a": [0, 1], "b": [2]}, r"class 'dog' \(index 3\) is in no macro class; add it to one of a, b"),
        ({"a": [0, 1, 2], "b": [3, "cat"]}, r"class 'cat' \(index 2\) is in both 'a' and 'b'; put it in one of them"),
        ({"a": [0, 1], "b": [2, 4]}, r"data\.macro\.b: class 4 does not exist, the classes are 0 to 3"),
        ({"a": [0, -1], "b": [2, 3]}, "class -1 does not exist"),
        ({"a": [0, "shp"], "b": [2, 3]}, r"no class is named 'shp', only car, .*; did you mean ship\?"),
        ({"a": [0, 1, 2, 3]}, "at least two macro classes"),
        ({"a": [0, 1, 2, 3], "b": []}, r"data\.macro\.b=\[\]: it must be a list"),
        ({"a": "car", "b": [1, 2, 3]}, r"data\.macro\.a='car': it must be a list"),
        (["a", "b"], "at least two macro classes"),
    ],
)
def test_what_does_not_fit_is_named(macro, message):
    with pytest.raises(UserError, match=message):
        macro_of_class(macro, CLASSES)
