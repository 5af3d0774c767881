"""A batch over two processes has the loss and the gradients of the same batch in one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.multiprocessing import spawn

from neuroattn.decoding import losses

ROWS, DIM = 8, 5


def start() -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and image ids with repeats, equal in every process."""
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(ROWS, DIM, generator=random)
    targets = torch.randn(ROWS, DIM, generator=random)
    image = torch.tensor([3, 1, 3, 0, 2, 1, 5, 4])
    return inputs, targets, image


def loss_of(kind: str, inputs: Tensor, targets: Tensor, image: Tensor, weight: Tensor) -> Tensor:
    """What the training task does with outputs: gather, then one whole loss."""
    brains = losses.unit(losses.gathered(inputs @ weight))
    image = losses.gathered(image)
    first, column = losses.distinct(image)
    pictures = losses.unit(losses.gathered(targets))[first]
    logits = 5 * brains @ pictures.T
    if kind == "softclip":
        return losses.soft_clip(logits, pictures, column, 0.2)
    if kind == "siglip":
        return losses.siglip(logits, column, torch.tensor(-1.0))
    return losses.info_nce(logits, column)


def single(kind: str) -> tuple[Tensor, Tensor]:
    inputs, targets, image = start()
    weight = torch.eye(DIM, requires_grad=True)
    # A repeat's column is its image's first row, which another order must not change.
    targets = targets[losses.distinct(image)[0]][losses.distinct(image)[1]]
    loss = loss_of(kind, inputs, targets, image, weight)
    loss.backward()
    return loss.detach(), weight.grad


def _process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    found = {}
    for kind in ("infonce", "softclip", "siglip"):
        inputs, targets, image = start()
        targets = targets[losses.distinct(image)[0]][losses.distinct(image)[1]]
        mine = slice(rank, None, 2)  # as the sampler deals rows
        weight = torch.eye(DIM, requires_grad=True)
        loss = loss_of(kind, inputs[mine], targets[mine], image[mine], weight)
        loss.backward()
        gradient = weight.grad.clone()
        distributed.all_reduce(gradient)
        found[kind] = (loss.detach(), gradient / 2)  # a distributed model takes the mean
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo meets over a file")
def test_two_processes_are_one(tmp_path: Path) -> None:
    spawn(_process, args=(str(tmp_path),), nprocs=2)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    for kind, (loss, gradient) in found.items():
        expected, slope = single(kind)
        torch.testing.assert_close(loss, expected, msg=kind)
        torch.testing.assert_close(gradient, slope, rtol=1e-5, atol=1e-6, msg=kind)


def test_one_process_gathers_nothing() -> None:
    values = torch.ones(3, 2)
    assert losses.gathered(values) is values
