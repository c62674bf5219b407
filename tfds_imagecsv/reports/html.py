"""Pages as HTML: one file that needs no other, and shows any text safely."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import Any

import jinja2
from etils import epath
from markupsafe import Markup

from tfds_imagecsv.problems import escaped


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_folder()),
        autoescape=True,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["percent"] = lambda share: f"{share:.1%}"
    return environment


def _folder() -> str:
    return str(epath.resource_path("tfds_imagecsv") / "reports" / "templates")


def _visible(value: Any) -> Any:
    """Returns a value with escapes for characters that don't print.

    Those that reverse the direction of writing would otherwise reorder the page.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return escaped(value)
    return value


def _source(name: str) -> Markup:
    """Returns the content of a file of our own, to put into the page."""
    return Markup((epath.Path(_folder()) / name).read_text(encoding="utf-8"))


def render(template: str, **values: Any) -> str:
    """Returns a template filled with values.

    Args:
      template: its name.
      **values: what it shows.
    """
    return _environment().get_template(template).render(**values)


def render_page(template: str, **values: Any) -> str:
    """Returns a page with style and script.

    It forbids all other scripts and all requests.

    Args:
      template: as for `render`.
      **values: likewise.
    """
    script = _source("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render(
        template,
        style=_source("report.css"),
        script=script,
        script_digest=digest,
        **values,
    )
