"""Where on the cortex a decoder reads: gradients of its similarities, folded to targets.

For every test brain the cosine between its embedding and that of its image is differentiated by
the standardised responses. Projections are linear, so the gradient of what was projected folds
back to targets exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.decoding.decoder import Rows
from neuroattn.decoding.inputs import SubjectInput
from neuroattn.decoding.losses import unit, unit_blocks
from neuroattn.decoding.targets import TargetSpace

AT_ONCE = 256  # brains whose gradients are held


def contributions(
    embed: Callable[[Tensor], Tensor],
    fitted: SubjectInput,
    inputs: Rows,
    pictures: Rows,
    space: TargetSpace,
) -> dict[str, NDArray[np.float64]]:
    """``sensitivity`` and ``contribution`` of every target (targets,).

    Sensitivity is the root mean square over brains of d cosine / d response, per deviation;
    contribution the mean of response times this, what a target adds to the cosine.

    Parameters
    ----------
    embed : inputs (brains, inputs) to embeddings, differentiable.
    inputs, pictures : of the test brains, and the embeddings of their images.
    space : of these, whose blocks weigh in the cosine as in retrieval.
    """
    targets = len(fitted.columns)
    squares, products = np.zeros(targets), np.zeros(targets)
    for start in range(0, len(inputs), AT_ONCE):
        part = torch.from_numpy(np.array(inputs[start : start + AT_ONCE])).requires_grad_()
        wanted = unit(torch.from_numpy(np.array(pictures[start : start + AT_ONCE])))
        similar = (unit_blocks(embed(part), space.slices, space.shares) * wanted).sum()
        (gradient,) = torch.autograd.grad(similar, part)
        folded = fitted.fold(gradient.numpy().T)  # (targets, brains)
        squares += np.square(folded, dtype=np.float64).sum(1)
        products += _products(fitted, part.detach().numpy(), folded)
    count = max(1, len(inputs))
    return {"sensitivity": np.sqrt(squares / count), "contribution": products / count}


def _products(fitted: SubjectInput, inputs: Rows, folded: Rows) -> NDArray[np.float64]:
    """Sum over brains of standardised response times gradient; exact without a projection.

    Behind a projection only what it kept of the response is known to the decoder, so that is
    what counts: its least-norm preimage for components, the parcel's mean for means.
    """
    kept = inputs
    if fitted.projection is not None:
        frames = inputs.reshape(-1, fitted.width) / np.float32(fitted.gain)
        kept = fitted.projection.spread(frames).reshape(len(inputs), -1)
    return np.asarray(np.einsum("bt,tb->t", kept, folded, dtype=np.float64))
