"""What to tell somebody who asks for weights that may not be distributed."""

from __future__ import annotations

from anas_zoo.zoo.schemas import EntryConfig

__all__ = ["IMPORT_COMMAND", "how_to_get_weights"]

IMPORT_COMMAND = "anas import authors CHECKPOINT --data DIR --out DIR"


def how_to_get_weights(config: EntryConfig) -> str:
    """One line: why there are none, the command that makes an entry with them, and how to load that."""
    name, licence = config.anas.name, config.pretrained_cfg.license
    terms = f" (licence of their authors: {licence})" if licence else ""
    return (
        f"{name} has no weights on the shelf: they are not distributed here{terms}; make an entry from the "
        f"authors' checkpoint with: {IMPORT_COMMAND}, then load the folder DIR/{name}"
    )
