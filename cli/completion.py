"""What Tab needs beyond click; imported only when a shell asks."""

from __future__ import annotations

from click.shell_completion import BashComplete, add_completion_class


class EqualSigns(BashComplete):
    """bash takes --model=fa for three words; click wants the two around the sign."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        kept = [word for before, word in zip(["", *words], words, strict=False) if word != "=" or before[:2] != "--"]
        return kept, incomplete


def register() -> None:
    """Have click ask this class for what bash completes."""
    add_completion_class(EqualSigns, "bash")
