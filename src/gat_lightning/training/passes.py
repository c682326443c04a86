"""Passes of a training step: compiled, eager or recomputed, in full precision and with equal random draws."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from gat_lightning.attacks.guard import unchanged_buffers
from gat_lightning.batch import Batch, pieces
from gat_lightning.curvature import Curvature
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.compiler import compiler_settings, one_size_at_a_time
from gat_lightning.models.eager_fallback import compile_only
from gat_lightning.models.encoding import (
    check_channels_last,
    compile_encoder,
    encode_compiled,
    encode_for_differences,
    encode_for_double_backward,
    full_precision,
    keep_generators,
    recomputed,
    with_equal_draws,
)
from gat_lightning.models.features import Encode
from gat_lightning.tasks import Task, Views
from gat_lightning.tasks.base import check_set_up
from gat_lightning.tasks.forward import ForwardPass, forward_pass, task_outputs


class Passes:
    """Runs the forward passes of a step, the clean one before the adversarial one, both in train mode.

    Args:
        model: the multi-task model.
        tasks: the target first.
        curvature: the regularisation losses, which decide how the clean pass is run. Exact derivatives need it eager,
            finite differences need passes at displaced images with equal draws, both in full precision. Under
            autocast the curvature has a clean pass of its own.
        micro_batch: most images that go through the model at once; a larger batch is split into parts, with the same
            gradients (BatchNorm takes its statistics from a part). All at once if None.
        compiled: compile the encoder for attacks and wherever no double backward and no input gradient follows.
        channels_last: keep images and convolutions in that memory layout.
        recompute: keep the images of a pass alone, and compute its activations again in the backward.
        needs_clean: whether clean images go through the model even where no curvature is taken of them.

    Raises:
        ValueError: a task has not been set up.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        tasks: Sequence[Task],
        curvature: Curvature,
        micro_batch: int | None = None,
        compiled: bool = False,
        channels_last: bool = False,
        recompute: bool = False,
        needs_clean: bool = True,
    ) -> None:
        check_set_up(tasks)
        self.model = model.to(memory_format=torch.channels_last) if channels_last else model
        self.tasks = list(tasks)
        self.micro_batch = micro_batch
        self.curvature = curvature
        self._compiled = compiled
        self._settings = ExitStack()
        self._channels_last = channels_last
        self._recompute = recompute
        self._needs_clean = needs_clean

    def setup(self, device: torch.device, training: bool) -> None:
        """Compile for training, in the process that trains.

        Raises:
            SettingError: torch cannot keep the model in this memory layout on the device.
        """
        if self._channels_last:
            check_channels_last(self.model, device)
        if self._compiled and training:
            compile_encoder(self.model)
            self._settings.enter_context(compiler_settings())

    def compile_only(self, images: int) -> None:
        """Compile for the parts of a batch of so many images alone; others, such as the last batch, run eagerly.

        Otherwise torch would compile the second size that comes for any size, and what it compiles, and so the
        rounding, would depend on the batch with which a run begins or resumes.
        """
        if self._compiled:
            sizes = {part.stop - part.start for part in pieces(images, self.micro_batch)}
            compile_only(self.model.encoder, sizes)
            self._settings.enter_context(one_size_at_a_time())

    def teardown(self) -> None:
        """Put the compiler's settings back."""
        self._settings.close()

    def in_layout(self, batch: Batch) -> Batch:
        """The batch with its images in the memory layout of the passes."""
        if not self._channels_last:
            return batch
        return replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))

    def __call__(
        self, part: Views, adversarial: Tensor | None, step: int = 0
    ) -> tuple[ForwardPass | None, ForwardPass | None]:
        """The clean pass where it is needed, and that of adversarial images ``[B, C, H, W]`` where there are some.

        Args:
            part: of the batch.
            adversarial: adversarial images ``[B, C, H, W]``.
            step: number of the step, from 0, which decides whether there are curvature terms.
        """
        if not self._with_curvature(step):
            return self.without_curvature(part, adversarial)
        return self._clean_with_curvature(part), None if adversarial is None else self.run(adversarial, part)

    def without_curvature(
        self, part: Views, adversarial: Tensor | None
    ) -> tuple[ForwardPass | None, ForwardPass | None]:
        """The passes of the method's own objectives, of which no curvature can be taken.

        Args:
            part: of the batch.
            adversarial: adversarial images ``[B, C, H, W]``.
        """
        clean = self.run(part.images, part) if self._needs_clean else None
        return clean, None if adversarial is None else self.run(adversarial, part)

    def _clean_with_curvature(self, part: Views) -> ForwardPass:
        """The pass on clean images, with one for the curvature; outside autocast they are the same."""
        device = part.images.device
        if not self._needs_clean or not torch.is_autocast_enabled(device.type):
            return self._differentiable(part)
        with keep_generators(device), unchanged_buffers(self.model):
            differentiable = self._differentiable(part)
        return replace(self.run(part.images, part), for_curvature=differentiable)

    def _differentiable(self, part: Views) -> ForwardPass:
        """The pass on clean images that require a gradient, for the curvature, in full precision."""
        images = part.images.detach().requires_grad_()
        with full_precision(images.device):
            return forward_pass(self.model, images, part, self.tasks, self._encode_for_curvature(images.device))

    def run(self, images: Tensor, part: Views) -> ForwardPass:
        """The pass on ``images`` ``[B, C, H, W]``, the clean or the adversarial version of ``part.images``."""
        encode = partial(recomputed, self.model, self._encode) if self._recompute else self._encode
        return forward_pass(self.model, images, part, self.tasks, encode)

    def losses_at(self, clean: ForwardPass, images: Tensor, task: str) -> Tensor:
        """Losses ``[B]`` of a task at displaced images, by a pass with the draws of ``clean`` that leaves no trace."""
        loss = next(each.loss for each in self.tasks if each.name == task)
        with keep_generators(images.device), unchanged_buffers(self.model):
            outputs, _ = task_outputs(clean.encode, self.model, images, clean.views, [task])
            return clean.views.loss(task, partial(loss, outputs[task]))

    def target_losses(self, images: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """The target's loss on each of some clean images, ``[B]``, by a pass that leaves no trace in the model."""
        target = self.tasks[0]
        with torch.no_grad(), unchanged_buffers(self.model):
            losses = [
                target.loss(self.model(images[part], [target.name])[target.name], labels[target.name][part])
                for part in pieces(len(images), self.micro_batch)
            ]
        return torch.cat(losses)

    def _with_curvature(self, step: int) -> bool:
        return self.curvature.enabled([task.name for task in self.tasks], step)

    @property
    def _encode(self) -> Encode:
        return partial(encode_compiled, self.model) if self._compiled else self.model.encode

    def _encode_for_curvature(self, device: torch.device) -> Encode:
        if self.curvature.exact:
            return partial(encode_for_double_backward, self.model) if self._compiled else self.model.encode_eagerly
        encode = partial(encode_for_differences, self.model) if self._compiled else self.model.encode
        return with_equal_draws(encode, device)
