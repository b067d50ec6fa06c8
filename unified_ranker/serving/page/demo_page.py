"""Demo page at `/`. It loads nothing from other hosts."""

from functools import cache
from importlib import resources

from fastapi import FastAPI, Response

_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


def add_page(app: FastAPI) -> None:
    """Add the page and its files."""

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(_text("index.html"), media_type="text/html", headers=_HEADERS)

    def add(name: str, kind: str) -> None:
        @app.get(f"/page/{name}", include_in_schema=False)
        async def file() -> Response:
            return Response(_text(name), media_type=kind, headers=_HEADERS)

    for name, kind in _FILES.items():
        add(name, kind)


@cache
def _text(name: str) -> str:
    return resources.files(__package__).joinpath("files", name).read_text(encoding="utf-8")
