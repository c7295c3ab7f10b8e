"""Tab completion beyond click; imported only when a shell asks."""

from __future__ import annotations

from click.shell_completion import BashComplete, add_completion_class


class EqualSigns(BashComplete):
    """bash splits --model=fa into three words; click expects only those around the equals sign."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        kept = [word for before, word in zip(["", *words], words, strict=False) if word != "=" or before[:2] != "--"]
        return kept, incomplete


def register() -> None:
    """Makes click use this class for bash."""
    add_completion_class(EqualSigns, "bash")
