"""huggingface_hub as it is used here: no log lines, and errors that say what to do. Imported when called."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anas_zoo.core.errors import (
    AnasError,
    HubAccessError,
    HubConflictError,
    HubError,
    HubNotFoundError,
    HubOfflineError,
    HubUnreachableError,
)
from anas_zoo.core.files import disk_errors
from anas_zoo.core.progress import note, watched
from anas_zoo.zoo.hub.address import HubAddress

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError


LOGIN = "log in with: hf auth login (or set HF_TOKEN)"
BUSY = {408, 429, 500, 502, 503, 504}
WAITS = (
    1.0,
    2.0,
)  # seconds between tries; huggingface_hub itself retries transfers, but no look-ups and commits

T = TypeVar("T")


def endpoint() -> str:
    """The Hub's address without a slash at its end: HF_ENDPOINT as it was when the program began."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids every request."""
    from huggingface_hub import constants

    return bool(constants.is_offline_mode())


def hub_api() -> HfApi:
    """The Hub's client; it finds the token itself (HF_TOKEN, or what ``hf auth login`` stored)."""
    from huggingface_hub import HfApi

    return HfApi(library_name="anas-zoo")


@contextlib.contextmanager
def hub_errors(address: HubAddress) -> Iterator[None]:
    """Keep huggingface_hub quiet, and turn what it raises into a :class:`HubError` about ``address``.

    Full disks and folders that cannot be written become the errors of :func:`disk_errors`.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    with _quiet(), disk_errors(Path(HF_HUB_CACHE)):
        try:
            yield
        except AnasError:
            raise
        except Exception as exc:
            error = _explained(exc, address)
            if error is None:
                raise
            raise error from exc


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of retries, and bars only on a terminal."""
    from huggingface_hub.utils import logging as hub_logging
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before = hub_logging.get_verbosity()
    hide = not watched() and not are_progress_bars_disabled()
    hub_logging.set_verbosity(logging.ERROR)
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        hub_logging.set_verbosity(before)
        if hide:
            enable_progress_bars()


def patiently(step: Callable[[], T]) -> T:
    """Do ``step``; when the Hub cannot be reached, do it again after a second, and once more after two."""
    for wait in WAITS:
        try:
            return step()
        except HubUnreachableError as exc:
            note(f"{exc}; trying again in {wait:g} s")
            time.sleep(wait)
    return step()


def not_cached(address: HubAddress, what: str) -> HubOfflineError:
    """The error for ``what`` of ``address``, which would have to be downloaded in offline mode."""
    return HubOfflineError(f"{address}: offline mode is on and the cache lacks {what}; unset HF_HUB_OFFLINE")


def _explained(exc: BaseException, address: HubAddress) -> HubError | None:
    """The error for users, by ``exc`` or what it was raised from; None for what is not the Hub's doing."""
    from huggingface_hub import errors

    reason = " ".join(str(exc).split())
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, errors.HfHubHTTPError):
            return _of_answer(cause, address)
        if isinstance(cause, errors.OfflineModeIsEnabled):
            return not_cached(address, "it")
        if isinstance(cause, ConnectionError | TimeoutError) or type(cause).__module__.startswith("httpx"):
            why = " ".join(str(cause).split()) or type(cause).__name__
            return HubUnreachableError(
                f"{address}: no answer from {endpoint()} ({why}); check the network, or HF_ENDPOINT"
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(exc, errors.XetDownloadError) or (isinstance(exc, OSError) and exc.errno is None):
        return HubUnreachableError(f"{address} did not arrive whole: {reason}")
    if isinstance(exc, ValueError | RuntimeError):  # such as a card that the Hub does not take
        return HubError(f"{address}: {reason}")
    return None


def _of_answer(exc: HfHubHTTPError, address: HubAddress) -> HubError:
    """What an answer with an error status means."""
    from huggingface_hub import errors

    status, page = exc.response.status_code, f"{endpoint()}/{address.repo_id}"
    words = " ".join((exc.server_message or "").split())
    said = f" ({words})" if words else ""
    if isinstance(exc, errors.GatedRepoError):
        return HubAccessError(f"{address} is gated{said}; accept its terms at {page}, then {LOGIN}")
    if isinstance(exc, errors.RepositoryNotFoundError):  # also 401 of one that this user may not see
        return HubNotFoundError(
            f"{address}: no such repository on {endpoint()}; check the name, or, if it is private, {LOGIN}"
        )
    if isinstance(exc, errors.RevisionNotFoundError):
        return HubNotFoundError(
            f"{address}: the repository has no revision {address.revision or 'main'!r}; see its branches and "
            f"tags at {page}"
        )
    if status == 401:
        return HubAccessError(f"{address}: the Hub asks for a valid token{said}; {LOGIN}")
    if status == 403:
        return HubAccessError(f"{address}: not allowed{said}; use a token that may do this: hf auth login")
    if status in (409, 412):
        return HubConflictError(
            f"{address} was changed by somebody else meanwhile{said}; look at it at {page}, then try again"
        )
    if status in BUSY:
        return HubUnreachableError(f"{address}: the Hub is too busy or out of order ({status}{said})")
    return HubError(f"{address}: the Hub answered {status}{said}")
