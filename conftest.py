"""Settings of all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

# The tests' networks are too small for threads to help, and on a busy machine threads that wait for each
# other cost many times the work. Set before torch is imported, and inherited by every subprocess.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The tests' caches are their own, and go with them.
_cache = tempfile.TemporaryDirectory(prefix="anas-zoo-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name


@pytest.fixture(autouse=True)
def messages_on_stderr() -> Iterator[None]:
    """What the package logs is printed on stderr, as by the command line."""
    from anas_zoo.cli.messages import messages_shown

    with messages_shown():
        yield
