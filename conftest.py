"""Settings of all tests."""

from __future__ import annotations

import os

# The tests' networks are too small for threads to help, and on a busy machine threads that wait for each
# other cost many times the work. Set before torch is imported, and inherited by every subprocess.
os.environ.setdefault("OMP_NUM_THREADS", "1")
