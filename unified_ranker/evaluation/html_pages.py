"""HTML pages from Jinja2 templates. Every value is escaped; a name that a template does not know is an error."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: Any) -> str:
    """Return a page.

    Args:
        package: the package whose directory `templates` holds the template, and those that it includes.
        template: name of its file.
        values: what the template shows. Only `markupsafe.Markup` is inserted as HTML.
    """
    return _environment(package).get_template(template).render(values)


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": format, "signed": _signed}
    return environment


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")
