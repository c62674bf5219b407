"""A page within another one, as notebooks show it."""

from __future__ import annotations

import dataclasses

from markupsafe import escape


@dataclasses.dataclass(frozen=True)
class InlinePage:
    """A page that a notebook shows below the cell.

    Attributes:
      path: the file that it is in.
      html: its content.
      height: pixels that it gets; it scrolls.
    """

    path: str
    html: str = dataclasses.field(repr=False)
    height: int = 720

    def _repr_html_(self) -> str:
        """Returns it in a frame, whose scripts can't reach the notebook."""
        return (
            f'<iframe title="{escape(self.path)}" srcdoc="{escape(self.html)}"'
            f' sandbox="allow-scripts" width="100%" height="{self.height}"'
            ' style="border: 1px solid #8886; border-radius: 6px"></iframe>'
        )
