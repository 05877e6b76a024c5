"""huggingface_hub as it is used here: quiet, and with errors that say what to do. Imports it when called."""

from __future__ import annotations

import contextlib
import logging
import re
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

__all__ = ["endpoint", "hub_api", "hub_errors", "is_offline", "patiently"]

LOGIN = "log in with: hf auth login (or set HF_TOKEN)"
BUSY = {408, 429, 500, 502, 503, 504}
WAITS = (1.0, 2.0)  # seconds between tries of a step; huggingface_hub tries most requests more often itself

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
            # A server could send the token back; then the original must not be shown by anybody.
            raise error from (exc if _redacted(str(exc)) == str(exc) else None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of retries, and bars only where somebody watches."""
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


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and what it was raised from, outermost first."""
    current: BaseException | None = exc
    for _ in range(16):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _explained(exc: Exception, address: HubAddress) -> HubError | None:
    """The error for users; None for what is not the Hub's doing."""
    for one in _causes(exc):
        if found := _of_http(one, address) or _of_transport(one, address):
            return found
    from huggingface_hub.errors import LocalEntryNotFoundError, RevisionResolutionError

    if isinstance(exc, LocalEntryNotFoundError | RevisionResolutionError):
        if is_offline():
            return _not_cached(address)
        return HubUnreachableError(f"{address} cannot be reached: {_line(exc)}")
    if isinstance(exc, OSError) and exc.errno is None:  # such as its check of a download's size
        return HubUnreachableError(f"{address} did not arrive whole: {_line(exc)}")
    if isinstance(exc, ValueError | RuntimeError):  # such as a card that the Hub does not take
        return HubError(f"{address}: {_line(exc)}")
    return None


def _of_http(exc: BaseException, address: HubAddress) -> HubError | None:
    """What an answer with an error status means."""
    from huggingface_hub import errors, get_token

    if not isinstance(exc, errors.HfHubHTTPError):
        return None
    status = exc.response.status_code
    said = _redacted(" ".join((exc.server_message or "").split()))
    said = f" ({said})" if said else ""
    if isinstance(exc, errors.GatedRepoError):
        return HubAccessError(
            f"{address} is gated{said}; accept its terms at {endpoint()}/{address.repo_id}, then {LOGIN}"
        )
    if status == 401 and get_token() is not None and not isinstance(exc, errors.RepositoryNotFoundError):
        return HubAccessError(f"{address}: the Hub does not accept this token{said}; {LOGIN}")
    if isinstance(exc, errors.RepositoryNotFoundError):
        hint = "check the name" if get_token() else f"check the name, or, if it is private, {LOGIN}"
        return HubNotFoundError(f"{address}: no such repository on {endpoint()}; {hint}")
    if isinstance(exc, errors.RevisionNotFoundError):
        return HubNotFoundError(
            f"{address}: the repository has no revision {address.revision or 'main'!r}; see its branches and "
            f"tags at {endpoint()}/{address.repo_id}"
        )
    if isinstance(exc, errors.RemoteEntryNotFoundError):
        name = exc.response.url.path.rpartition("/")[2]
        return HubNotFoundError(f"{address}: there is no {name}; is it an entry of anas-zoo?")
    if status == 401:
        return HubAccessError(f"{address}: nobody is logged in{said}; {LOGIN}")
    if status == 403:
        return HubAccessError(
            f"{address}: not allowed{said}; use a token that may write for "
            f"{address.repo_id.split('/')[0]}: hf auth login"
        )
    if status in (409, 412):
        return HubConflictError(f"{address} was changed by somebody else{said}; look, and try again")
    if status in BUSY:
        return HubUnreachableError(f"{address}: the Hub is too busy or out of order ({status}{said})")
    return HubError(f"{address}: the Hub answered {status}{said}")


def _of_transport(exc: BaseException, address: HubAddress) -> HubError | None:
    """What a missing answer means."""
    from huggingface_hub import errors

    if isinstance(exc, errors.OfflineModeIsEnabled):
        return _not_cached(address)
    library = type(exc).__module__.partition(".")[0]
    numbered = isinstance(exc, OSError) and exc.errno is not None and not isinstance(exc, ConnectionError)
    if library in ("httpx", "httpx2") or (isinstance(exc, ConnectionError | TimeoutError) and not numbered):
        why = _line(exc) or type(exc).__name__
        refused = re.search(r"HTTP status client error \((\d+)", why)  # hf_xet's words for an answer
        if refused and refused[1] in ("401", "403"):
            return HubAccessError(
                f"{address}: not allowed ({why}); use a token that may do this: hf auth login"
            )
        if refused and refused[1] not in ("408", "429"):
            return HubError(f"{address}: the Hub refuses its large-file storage ({why})")
        return HubUnreachableError(
            f"{address}: no answer from {endpoint()} ({why}); check the network, or HF_ENDPOINT"
        )
    if isinstance(exc, errors.XetDownloadError):
        return HubUnreachableError(f"{address} did not arrive whole: {_line(exc)}")
    return None


def _not_cached(address: HubAddress) -> HubOfflineError:
    return HubOfflineError(
        f"{address}: offline mode is on and the cache does not have it; unset HF_HUB_OFFLINE and try again"
    )


def _line(exc: BaseException) -> str:
    return _redacted(" ".join(str(exc).split()))


def _redacted(text: str) -> str:
    """``text`` without the user's token."""
    from huggingface_hub import get_token

    token = get_token()
    return text.replace(token, "***") if token else text
