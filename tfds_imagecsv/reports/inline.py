"""A page within a notebook."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from markupsafe import escape

from tfds_imagecsv.problems import escaped


@dataclasses.dataclass(frozen=True)
class InlinePage:
    """A page that a notebook shows below the cell.

    Attributes:
      path: the page's file.
      html: its content.
      sources: the dataset's sources, with their folders, by field of the config.
      height: its height in pixels; it scrolls.
    """

    path: str
    html: str = dataclasses.field(repr=False)
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    height: int = 720

    def _repr_html_(self) -> str:
        """Returns it in a frame, whose scripts can't reach the notebook.

        Above the frame are the sources; the page names them without their folders.
        """
        sources = "<br>".join(
            f"{escape(field)}: <code>{escape(escaped(path))}</code>"
            for field, path in self.sources.items()
        )
        return (f"<p>{sources}</p>" if sources else "") + (
            f'<iframe title="{escape(self.path)}" srcdoc="{escape(self.html)}"'
            f' sandbox="allow-scripts" width="100%" height="{self.height}"'
            ' style="border: 1px solid #8886; border-radius: 6px"></iframe>'
        )
