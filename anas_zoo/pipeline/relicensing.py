"""Which licence weights may get that were made from others."""

from __future__ import annotations

from anas_zoo.errors import EntryError

__all__ = ["licence_of_derived"]

# Licences that let changed weights be passed on under other terms.
PERMISSIVE = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0"}


def licence_of_derived(own: str, wanted: str | None) -> str:
    """The licence of weights fine-tuned from ones under ``own``: ``wanted``, or the same where it is None.

    Raises :class:`EntryError` when ``own`` does not let them have another one.
    """
    if wanted is None or wanted.strip().lower() == own.strip().lower():
        return own
    name = own.strip().lower()
    if name not in PERMISSIVE and not name.startswith("bsd-"):
        raise EntryError(
            f"the entry's weights are under {own}, so what is fine-tuned from them cannot be under {wanted}; "
            "leave the licence out"
        )
    return wanted
