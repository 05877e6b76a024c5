"""What holds to the bit with Pillow 13, whose resize chooses another order of its passes than older ones."""

from __future__ import annotations

import PIL
import pytest
from packaging.version import Version

with_pillow_13 = pytest.mark.skipif(
    Version(PIL.__version__) < Version("13"), reason="older versions of Pillow resize otherwise"
)
