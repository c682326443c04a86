import importlib
import inspect
import pkgutil

import pytest

import gat_lightning

PACKAGES = ["attacks", "augment", "curvature", "formats", "gradients", "methods", "models", "tasks", "weighting"]


def public_classes(package):
    """Names of the classes that the package's modules define."""
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                yield name


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_every_public_class_of_its_modules(name):
    package = importlib.import_module(f"gat_lightning.{name}")
    defined = set(public_classes(package))
    assert defined
    assert defined - set(package.__all__) == set()
    assert [each for each in package.__all__ if not hasattr(package, each)] == []


def test_what_an_own_loop_needs_is_at_the_top():
    needed = (
        "PGD AutoAttack ClassifierProblem MGDA GradientEngine Objective attach_tasks Rotation curvature_measure"
        " load_classifier"
    )
    assert set(needed.split()) <= set(gat_lightning.__all__)


@pytest.mark.parametrize("name", gat_lightning.__all__)
def test_a_public_name_is_the_documented_object_of_that_name(name):
    value = getattr(gat_lightning, name)
    assert value.__name__ == name
    assert value.__module__.startswith("gat_lightning.")
    assert inspect.getdoc(value)


def test_names_that_are_not_public_are_no_attributes():
    assert set(dir(gat_lightning)) >= set(gat_lightning.__all__)
    with pytest.raises(AttributeError, match="GPD"):
        gat_lightning.GPD  # noqa: B018
