"""Guided Adversarial Training (Ghamizi et al., ICML 2023) on PyTorch Lightning and Hydra."""

__version__ = "0.1.0"
