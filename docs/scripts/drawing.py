"""Drawings as SVG text: boxes, arrows, labels and bars, the same bytes on every machine."""

from html import escape
from itertools import pairwise

INK, FAINT, PAPER = "#1f2430", "#6b7280", "#ffffff"
FILLS = {"input": "#eef2ff", "model": "#e0e7ff", "store": "#ecfdf5", "output": "#fef3c7", "plain": "#f3f4f6"}
_FONT = "font-family='Helvetica, Arial, sans-serif'"


class Drawing:
    """A picture of fixed size, to which shapes are added in order.

    Args:
        width: in pixels.
        height: in pixels.
        title: what a screen reader says.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self._head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' "
            f"role='img'>\n<title>{escape(title)}</title>\n"
            "<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' "
            f"orient='auto-start-reverse'><path d='M0,0 L10,5 L0,10 z' fill='{FAINT}'/></marker></defs>\n"
            f"<rect width='{width}' height='{height}' rx='8' fill='{PAPER}'/>\n"
        )
        self._shapes: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, text: str, fill: str = "plain") -> None:
        """Add a box with centred lines of text; the first line is bold where there are several."""
        self._shapes.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='6' fill='{FILLS[fill]}' "
            f"stroke='{FAINT}'/>"
        )
        lines = text.split("\n")
        top = y + height / 2 - (len(lines) - 1) * 8.5
        for place, line in enumerate(lines):
            bold = place == 0 and len(lines) > 1
            self.text(x + width / 2, top + 17 * place + 4.5, line, bold=bold)

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "middle", bold: bool = False, faint: bool = False
    ) -> None:
        """Add one line of text; `anchor` is start, middle or end."""
        weight, colour = (" font-weight='bold'" if bold else ""), (FAINT if faint else INK)
        self._shapes.append(
            f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}' font-size='12' fill='{colour}' {_FONT}{weight}>"
            f"{escape(text)}</text>"
        )

    def arrow(self, *points: tuple[float, float], label: str = "", dashed: bool = False) -> None:
        """Add an arrow through points, with a label over the middle of its longest part."""
        path = " ".join(f"{'M' if place == 0 else 'L'}{x:g},{y:g}" for place, (x, y) in enumerate(points))
        dash = " stroke-dasharray='5 4'" if dashed else ""
        self._shapes.append(
            f"<path d='{path}' fill='none' stroke='{FAINT}' stroke-width='1.6' marker-end='url(#tip)'{dash}/>"
        )
        if label:
            parts = list(pairwise(points))
            (x1, y1), (x2, y2) = max(
                parts, key=lambda part: abs(part[0][0] - part[1][0]) + abs(part[0][1] - part[1][1])
            )
            self.text((x1 + x2) / 2, (y1 + y2) / 2 - 6, label, faint=True)

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        *,
        colour: str = FAINT,
        width: float = 1.0,
        dashed: bool = False,
    ) -> None:
        """Add a line."""
        dash = " stroke-dasharray='5 4'" if dashed else ""
        self._shapes.append(
            f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='{colour}' stroke-width='{width:g}'{dash}/>"
        )

    def dot(self, x: float, y: float, radius: float = 5.0, colour: str = "#4f46e5") -> None:
        """Add a dot."""
        self._shapes.append(f"<circle cx='{x:g}' cy='{y:g}' r='{radius:g}' fill='{colour}'/>")

    def svg(self) -> str:
        """Return the picture."""
        return self._head + "\n".join(self._shapes) + "\n</svg>\n"
