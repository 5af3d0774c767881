from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ConfigError
from neuroattn.reports.registry import STAGES, ReportConfig, needed

CONF = Path(__file__).resolve().parents[3] / "conf" / "report"


def test_the_report_on_an_encoder_needs_its_whole_chain_once() -> None:
    assert needed(["encode", "encode"]) == ("prepare", "features", "encode")
    config = SimpleNamespace(report=ReportConfig())
    assert STAGES[0].parents(config) == ("prepare", "features", "encode")
    assert STAGES[0].label(config) == "report-encode"
    assert STAGES[0].tolerant


@pytest.mark.parametrize(
    "values",
    [{"stages": []}, {"stages": ["encod"]}, {"max_targets_in_table": 0}, {"max_rois": 501}],
)
def test_values_out_of_range_are_refused(values: dict) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        ReportConfig(**values)


def test_what_changes_the_page_enters_the_fingerprint() -> None:
    changed = ReportConfig(title="Pilot", max_targets_in_table=3, max_rois=7)
    keys = {"title": "Pilot", "max_targets_in_table": 3, "max_rois": 7}
    assert science_values(walk(changed), tuple(key.path for key in walk(changed))) == keys


def test_the_shipped_choice_states_the_defaults() -> None:
    values = yaml.safe_load((CONF / "default.yaml").read_text())
    assert "_self_" in values.pop("defaults")
    assert ReportConfig(**values) == ReportConfig()


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        (
            "neuroattn.reports.registry",
            ("torch", "pandas", "h5py", "matplotlib", "jinja2"),
        ),
        ("neuroattn.reports.stage", ("torch", "hydra", "neuroattn.data", "matplotlib.pyplot")),
    ],
)
def test_imports_stay_light(module: str, banned: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print(*[name for name in {banned!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
