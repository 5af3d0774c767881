from __future__ import annotations

from neuroattn.training.tracking import RewindableTracker, Shifted, Silent

from .training_toy import Rows


def test_folds_follow_each_other_in_one_tracker() -> None:
    rows = Rows()
    first, second = Shifted(rows, 0, "fold-0."), Shifted(rows, 10, "fold-1.")
    first.log({"train.loss": 1.0}, step=10)
    second.log({"train.loss": 2.0}, step=1)
    second.log({"train.loss": 3.0}, step=2)
    second.rewind(1)
    assert rows.rows == [(10, {"fold-0.train.loss": 1.0}), (11, {"fold-1.train.loss": 2.0})]
    second.rewind(0)
    assert len(rows.rows) == 1


def test_rewinding_is_optional() -> None:
    assert isinstance(Shifted(Silent()), RewindableTracker)
    assert not isinstance(Silent(), RewindableTracker)
    Shifted(Silent()).rewind(3)
    Shifted(Silent()).log({"a": 1.0})
