from __future__ import annotations

import numpy as np
import pytest

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.training.sampler import Position, Sampler


def epoch_of(sampler: Sampler, epoch: int) -> list[int]:
    batches = [sampler.indices(epoch, number) for number in range(sampler.batches)]
    return [int(index) for batch in batches for index in batch]


def test_an_epoch_visits_every_sample_once_in_an_order_of_its_own() -> None:
    sampler = Sampler(size=23, batch_size=5, seed=1)
    first, second = epoch_of(sampler, 0), epoch_of(sampler, 1)
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second != list(range(23))


def test_a_batch_is_a_function_of_seed_epoch_and_number_alone() -> None:
    walked, jumped = Sampler(23, 5, seed=1), Sampler(23, 5, seed=1)
    epoch_of(walked, 0)
    np.random.default_rng().random()
    assert np.array_equal(walked.indices(3, 2), jumped.indices(3, 2))
    assert not np.array_equal(walked.indices(3, 2), Sampler(23, 5, seed=2).indices(3, 2))
    assert walked.stream(3, 2).random() == jumped.stream(3, 2).random()
    assert walked.stream(3, 2).random() != jumped.stream(3, 3).random()


@pytest.mark.parametrize(("drop", "batches", "last"), [(False, 5, 3), (True, 4, 5)])
def test_the_last_batch_is_smaller_or_left_out(drop: bool, batches: int, last: int) -> None:
    sampler = Sampler(23, 5, drop_last=drop)
    assert sampler.batches == batches
    assert sampler.samples(batches - 1) == len(sampler.indices(0, batches - 1)) == last


def test_steps_group_batches_and_the_last_may_have_fewer() -> None:
    sampler = Sampler(23, 5, accumulate=2)
    assert sampler.steps == 3
    assert [list(sampler.step_batches(n)) for n in (0, 2, 4)] == [[0, 1], [2, 3], [4]]


def test_without_shuffling_the_order_stays() -> None:
    assert epoch_of(Sampler(7, 3, shuffle=False), 5) == list(range(7))


def test_processes_share_each_batch_equally() -> None:
    parts = [Sampler(23, 6, rank=rank, world=2) for rank in range(2)]
    whole = Sampler(23, 6)
    for number in range(whole.batches):
        left, right = (part.indices(0, number) for part in parts)
        assert len(left) == len(right)
        union = set(left) | set(right)
        assert union <= set(whole.indices(0, number))
        assert len(union) == parts[0].samples(number)
    assert [part.samples(3) for part in parts] == [4, 4]  # 5 are cut to a multiple of 2


def test_too_few_samples_are_an_error() -> None:
    with pytest.raises(DataError, match="too few samples"):
        Sampler(4, 5, drop_last=True)
    with pytest.raises(DataError):
        Sampler(0, 5)
    with pytest.raises(ConfigError, match="processes"):
        Sampler(10, 1, world=2)


def test_a_position_survives_its_state() -> None:
    position = Position()
    position.load_state_dict(Position(3, 7).state_dict())
    assert position == Position(3, 7)
