"""Files that come with the package: configs, recipes, manifests; in a wheel or a checkout."""

from __future__ import annotations

from pathlib import Path

from neuroattn.core.errors import MissingDataError

REINSTALL = "install the package again, in its checkout: make install, or pip install ."

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Folder ``name`` (``conf``, ``workflows``, ``data_manifests``) of this installation.

    A wheel carries them in ``neuroattn/_share``; an editable install reads the checkout.
    """
    for candidate in (_PACKAGE / "_share" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise MissingDataError(
        f"the installation lacks its folder {name}",
        file=_PACKAGE / "_share" / name,
        fix=REINSTALL,
    )


def user_path(text: str | Path) -> Path:
    """A path from a user, ``~`` expanded; that of an unknown user stays, and is not found."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
