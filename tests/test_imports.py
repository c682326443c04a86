import subprocess
import sys

LIBRARY = ["attacks", "augment", "curvature", "gradients", "methods", "models", "tasks", "weighting"]
HEAVY = (
    "lightning pytorch_lightning lightning_fabric hydra omegaconf sklearn pandas matplotlib torchmetrics torchvision"
    " timm torchattacks PIL"
)
IMPORT_ALL = """
import importlib, pkgutil, sys

def found(*modules):
    for name in modules:
        importlib.import_module(name)
        print(name, *heavy.intersection(sys.modules))

heavy = set(sys.argv[1].split())
found("gat_lightning")
assert "torch" not in sys.modules
for package in sys.argv[2:]:
    found(package)
    found(*(module.name for module in pkgutil.walk_packages(sys.modules[package].__path__, package + ".")))
"""


def test_the_library_packages_and_each_of_their_modules_import_torch_numpy_and_scipy_only():
    packages = [f"gat_lightning.{name}" for name in LIBRARY]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, HEAVY, *packages], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = {module: heavy for module, *heavy in map(str.split, done.stdout.splitlines())}
    assert {"gat_lightning", "gat_lightning.attacks.square", "gat_lightning.models.encoders.timm"} <= set(loaded)
    assert {module: heavy for module, heavy in loaded.items() if heavy} == {}
