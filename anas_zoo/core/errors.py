"""Every error that anas-zoo raises on purpose.

    AnasError
    ├── SpaceError            an architecture or a search space that cannot be
    ├── ConfigError           a recipe, target or other file with wrong keys or values
    ├── DataError             images or labels that cannot be read or split
    ├── CheckpointError       a checkpoint that is truncated, foreign or incomplete
    ├── OutputError           an output folder that is taken or cannot be written
    │   └── DiskFullError     no space left on the device
    ├── CalibrationError      batch norm statistics that are missing or cannot be made
    ├── TrainingError         a training run that cannot continue (non-finite loss, ...)
    ├── SearchError           a search whose constraints or archive cannot be used
    ├── ProfileError          two counts of one network that disagree
    ├── ExportError           a network that cannot be exported, or a file of another structure
    │   ├── InterfaceError    an exported file with other inputs or outputs
    │   ├── NonFiniteError    weights or logits that are NaN or infinite
    │   ├── ConstantOutputError  a file with the same logits for every image
    │   ├── ParityError       a file whose logits are not what torch computes
    │   │   └── AgreementError  a file that names other classes than torch
    │   └── QuantizationError an int8 file that cannot be made, or is slower than required
    ├── MissingPackageError   a package of an extra that is not installed (core/extras.py)
    ├── ServeError            a page that cannot be served (no npm, a port that is taken)
    └── EntryError            a published entry that is incomplete, altered or refused
        ├── NotOnShelfError   a model name that no entry has
        ├── NoWeightsError    a model whose weights are not distributed
        └── HubError          a request that the Hugging Face Hub refused, or an invalid address
            ├── HubAccessError     not logged in there, or not allowed
            ├── HubNotFoundError   no such repository, revision or file
            ├── HubConflictError   somebody else changed the repository meanwhile
            ├── HubUnreachableError  no answer, a broken connection, or a Hub that is too busy
            └── HubOfflineError    offline mode, and the cache lacks what is needed

The command line prints the message as one line and exits with ``exit_code``; whoever uses the
library can catch :class:`AnasError` for all of them. An error that repeats another one passes its parts on:
``EntryError(f"{folder}: ", *exc.parts)``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from anas_zoo.core.hints import Part, as_python


class AnasError(Exception):
    """Base of all errors that a user can fix; the message says how.

    Its ``parts`` are text, and a :class:`~anas_zoo.core.hints.Call` or :class:`~anas_zoo.core.hints.Option`
    for what to run or give next. ``str(error)`` reads as Python, the command line prints commands.
    """

    exit_code = 1

    def __init__(self, *parts: Part) -> None:
        super().__init__(as_python(parts))
        self.parts = parts


class SpaceError(AnasError):
    """An architecture outside its space (``violations`` lists every breach), or a bad space."""

    def __init__(self, *parts: Part, violations: Iterable[str] = ()) -> None:
        super().__init__(*parts)
        self.violations = tuple(violations)


class ConfigError(AnasError):
    """A file read from outside that does not fit its schema."""


class DataError(AnasError):
    """Images or labels that cannot be read, or too few of them."""


class CheckpointError(AnasError):
    """A checkpoint that is truncated, of another program, or lacks weights."""


class OutputError(AnasError):
    """An output folder that already holds something or cannot be written."""


class DiskFullError(OutputError):
    """The device has no space left; what was half-written has been removed."""


class CalibrationError(AnasError):
    """A subnet whose batch norm statistics were never measured, or cannot be."""


class TrainingError(AnasError):
    """A training run that cannot continue."""


class SearchError(AnasError):
    """A search whose constraints nothing satisfies, or whose archive is of another supernet."""


class ProfileError(AnasError):
    """A measured count that disagrees with the exact one, or an operator that cannot be counted."""


class ExportError(AnasError):
    """A network that cannot be exported, or a graph that is not what was asked for."""


class InterfaceError(ExportError):
    """An exported file whose inputs or outputs have other names, types or shapes than users rely on."""


class NonFiniteError(ExportError):
    """Weights or logits that are NaN or infinite."""


class ConstantOutputError(ExportError):
    """An exported file that gives every image the same logits, as dead or random weights do."""


class ParityError(ExportError):
    """An exported file whose logits are not what the torch network computes."""


class AgreementError(ParityError):
    """An exported file that names another class first than the torch network, or a right one less often."""


class QuantizationError(ExportError):
    """An int8 file that cannot be made, or that is slower than was required."""


class ServeError(AnasError):
    """A page that cannot be served: its runtime is not available, or the port is taken."""


class EntryError(AnasError):
    """An entry folder that is incomplete, altered, or fails a gate of publishing."""


class NotOnShelfError(EntryError):
    """No entry of that name."""


class NoWeightsError(EntryError):
    """The model is known but its weights are not on the shelf."""


class HubError(EntryError):
    """A request that the Hugging Face Hub refused, or an invalid address."""


class HubAccessError(HubError):
    """No login to the Hub, or one without the permission."""


class HubNotFoundError(HubError):
    """The Hub has no such repository, revision or file, or does not show it to this user."""


class HubConflictError(HubError):
    """Somebody else changed the repository meanwhile."""


class HubUnreachableError(HubError):
    """The Hub gave no answer, the connection broke, or it is too busy; trying again may help."""


class HubOfflineError(HubError):
    """Offline mode is on and the cache lacks what is needed."""


def nearest(word: str, known: Iterable[str]) -> str:
    """' (did you mean X?)' for the known word closest to ``word``, or '' when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
