"""Errors that a user can mend: each says what was expected, what was found, and the remedy.

Every class derives from the builtin that a caller would expect to catch, and carries the
exit code with which the command line leaves.
"""

from __future__ import annotations

from pathlib import Path

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CLAIMED = 75  # EX_TEMPFAIL: another live process computes this artefact
EXIT_INTERRUPTED = 85  # ERESTART: state was saved, the same command resumes
EXIT_SIGINT = 130  # Ctrl-C and SIGTERM, as a shell reports them: 128 and the signal's number
EXIT_SIGTERM = 143


class NeuroattnError(Exception):
    """A failure with a remedy.

    Parameters
    ----------
    problem : one sentence, without a full stop, that says what is wrong.
    file : the file or folder concerned.
    expected, found : what was asked for and what was there.
    fix : a command or an action that mends it.
    """

    exit_code = EXIT_FAILED

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        expected: object = None,
        found: object = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.file = None if file is None else str(file)
        self.expected = expected
        self.found = found
        self.fix = fix

    def __str__(self) -> str:
        rows = (
            ("file", self.file),
            ("expected", self.expected),
            ("found", self.found),
            ("fix", self.fix),
        )
        return "\n".join(
            [self.problem, *(f"  {name}: {value}" for name, value in rows if value is not None)]
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling across processes.
        return (_rebuild, (type(self), self.problem, dict(self.__dict__)))


def _rebuild(kind: type[NeuroattnError], problem: str, state: dict[str, object]) -> NeuroattnError:
    error = kind(problem)
    error.__dict__.update(state)
    return error


class ConfigError(NeuroattnError, ValueError):
    """A configuration key, type, value or combination that cannot be run."""

    exit_code = EXIT_USAGE


class SecurityError(ConfigError):
    """Input that would have made the program execute foreign code."""


class DataError(NeuroattnError, ValueError):
    """Input data that are malformed: another length, another range, NaN, truncated."""


class MissingDataError(NeuroattnError, FileNotFoundError):
    """Input data that are not there."""


class LeakError(NeuroattnError, ValueError):
    """Something from the test side stands on the training side as well."""


class ArtefactError(NeuroattnError, RuntimeError):
    """An artefact that is missing, incomplete or not what was written."""


class StorageError(NeuroattnError, OSError):
    """Output that cannot be written: read-only, full, or not permitted."""


class ClaimedError(NeuroattnError, RuntimeError):
    """Another live process computes this artefact."""

    exit_code = EXIT_CLAIMED


class InterruptedRunError(NeuroattnError, RuntimeError):
    """A signal asked to stop; the state was saved and the same command resumes."""

    exit_code = EXIT_INTERRUPTED
