#!/usr/bin/env python3
"""Draws the pictures of the documentation: docs/diagrams/NAME.svg from docs/diagrams/NAME.txt.

    build/diagrams.py            writes the pictures
    build/diagrams.py --check    fails if a picture is not up to date

A description has one statement on each line. Lengths are in pixels. "|" separates LINES; a line in backticks is a file name.

    title TEXT                                 what the picture shows, for readers that cannot see it
    gap COLUMNS ROWS                           the space between columns and between rows
    column NAME WIDTH : LINES                  the next column, with its heading
    row HEIGHT : LINES                         the next row, with its label in the left margin
    margin WIDTH                               the width of that margin
    cell ID KIND : LINES                       the next of the boxes that share the width of the row
    box ID KIND COLUMN FIRST-LAST : LINES      a box in a column, from one row to another (counted from 1)
    arrow FROM TO STYLE ROW : LINES            from one box to another in a row; STYLE is one, both or back
    down FROM TO                               from a box to the box below it
    spine : TEXT                               an arrow down the right side of the picture

KIND is outside, step, role or floor.
"""

import dataclasses
import html
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DESCRIPTIONS = ROOT / "docs/diagrams"

EDGE = 16
LINE = 17
SIZES = {"title": 14, "text": 12, "file": 11.5}
# The mean width of a letter in parts of the font size, a little too wide because fonts differ.
WIDTHS = {"title": 0.6, "text": 0.55, "file": 0.62}

# Each palette has its own background, so the picture is readable on any page.
LIGHT = {
    "ground": "#ffffff", "border": "#d0d7de", "text": "#1f2328", "muted": "#57606a", "line": "#57606a",
    "outside": "#f6f8fa #8c959f", "step": "#e8f1fb #4f81b5", "role": "#fff3dc #b97f16", "floor": "#e8f1fb #4f81b5",
}
DARK = {
    "ground": "#0d1117", "border": "#30363d", "text": "#e6edf3", "muted": "#9aa5b1", "line": "#9aa5b1",
    "outside": "#161b22 #6e7781", "step": "#14263c #5b8fc7", "role": "#35270f #c98f2b", "floor": "#14263c #5b8fc7",
}
KINDS = ("outside", "step", "role", "floor")


@dataclasses.dataclass(frozen=True)
class Box:
    kind: str
    x: float
    y: float
    width: float
    height: float
    lines: list[str]

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


class Picture:
    """A description with the place of every box."""

    def __init__(self, text: str):
        self.title = ""
        self.gaps = (0.0, 0.0)
        self.margin = 0.0
        self.columns: dict[str, tuple[float, float, list[str]]] = {}
        self.rows: list[tuple[float, float, list[str]]] = []
        self.cells: dict[int, list[tuple[str, str, list[str]]]] = {}
        self.boxes: dict[str, Box] = {}
        self.arrows: list[tuple[str, str, str, int, list[str]]] = []
        self.downs: list[tuple[str, str]] = []
        self.spine = ""
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                try:
                    self.read(line)
                except (KeyError, ValueError, IndexError) as error:
                    raise ValueError(f"line {number}: {line.strip()}: {error}") from error
        self.place_cells()

    def read(self, line: str) -> None:
        words, _, rest = line.strip().partition(" : ")
        name, *arguments = words.split()
        lines = [part.strip() for part in rest.split(" | ")] if rest else []
        if name == "title":
            self.title = line.strip().removeprefix("title ")
        elif name == "gap":
            self.gaps = (float(arguments[0]), float(arguments[1]))
        elif name == "margin":
            self.margin = float(arguments[0])
        elif name == "column":
            self.columns[arguments[0]] = (self.right_of_columns(), float(arguments[1]), lines)
        elif name == "row":
            self.rows.append((self.below_rows(), float(arguments[0]), lines))
        elif name == "cell":
            self.cells.setdefault(len(self.rows) - 1, []).append((arguments[0], known(arguments[1]), lines))
        elif name == "box":
            identifier, kind, column, span = arguments
            first, _, last = span.partition("-")
            x, width, _ = self.columns[column]
            top, bottom = self.rows[int(first) - 1], self.rows[int(last or first) - 1]
            self.boxes[identifier] = Box(known(kind), x, top[0], width, bottom[0] + bottom[1] - top[0], lines)
        elif name == "arrow":
            source, target, style, row = arguments
            if style not in ("one", "both", "back"):
                raise ValueError(f"no style {style}")
            self.arrows.append((source, target, style, int(row), lines))
        elif name == "down":
            self.downs.append((arguments[0], arguments[1]))
        elif name == "spine":
            self.spine = rest
        else:
            raise ValueError(f"no statement {name}")

    def right_of_columns(self) -> float:
        if not self.columns:
            return EDGE + self.margin
        x, width, _ = list(self.columns.values())[-1]
        return x + width + self.gaps[0]

    def below_rows(self) -> float:
        if not self.rows:
            return EDGE + (self.heading_height() if self.columns else 0)
        y, height, _ = self.rows[-1]
        return y + height + self.gaps[1]

    def heading_height(self) -> float:
        return max(len(lines) for _, _, lines in self.columns.values()) * LINE + 10

    def place_cells(self) -> None:
        """Cells of a row share the width of all columns."""
        for row, cells in self.cells.items():
            left, right = EDGE + self.margin, self.right_of_columns() - self.gaps[0]
            width = (right - left - self.gaps[0] * (len(cells) - 1)) / len(cells)
            y, height, _ = self.rows[row]
            for at, (identifier, kind, lines) in enumerate(cells):
                self.boxes[identifier] = Box(kind, left + at * (width + self.gaps[0]), y, width, height, lines)


def known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no kind {kind}")
    return kind


def draw(picture: Picture) -> str:
    spine = 40 if picture.spine else 0
    width = picture.right_of_columns() - picture.gaps[0] + spine + EDGE
    last = picture.rows[-1]
    height = last[0] + last[1] + EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {n(width)} {n(height)}" width="{n(width)}" '
        f'height="{n(height)}" role="img">',
        f"<title>{html.escape(picture.title)}</title>",
        f"<style>{style()}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="tip" d="M0 0L10 5L0 10z"/></marker></defs>',
        f'<rect class="ground" x="0.5" y="0.5" width="{n(width - 1)}" height="{n(height - 1)}" rx="8"/>',
    ]
    for x, column_width, lines in picture.columns.values():
        parts += text(x + column_width / 2, EDGE, lines, column_width + picture.gaps[0], first="title")
    for y, row_height, lines in picture.rows:
        top = y + (row_height - len(lines) * LINE) / 2
        parts += text(EDGE, top, lines, picture.margin, first="title", anchor="start")
    for box in picture.boxes.values():
        place = f'x="{n(box.x)}" y="{n(box.y)}" width="{n(box.width)}" height="{n(box.height)}"'
        parts.append(f'<rect class="{box.kind}" {place} rx="6"/>')
        if len(box.lines) * LINE > box.height:
            raise ValueError(f"too many lines for their box: {box.lines}")
        top = box.y + (box.height - len(box.lines) * LINE) / 2
        parts += text(box.middle, top, box.lines, box.width - 8, first="title")
    for source, target in picture.downs:
        above, below = picture.boxes[source], picture.boxes[target]
        parts.append(line(above.middle, above.y + above.height, below.middle, below.y, "one"))
    for arrow in picture.arrows:
        parts += draw_arrow(picture, *arrow)
    if picture.spine:
        x, y = width - EDGE - 12, (picture.rows[0][0] + height - EDGE) / 2
        parts.append(line(x, picture.rows[0][0], x, height - EDGE, "one"))
        parts.append(
            f'<text class="text muted" x="{n(x)}" y="{n(y)}" text-anchor="middle" '
            f'transform="rotate(90 {n(x)} {n(y)}) translate(0 -8)">{html.escape(picture.spine)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def draw_arrow(picture: Picture, source: str, target: str, kind: str, row: int, lines: list[str]) -> list[str]:
    """A straight arrow between the sides of two boxes that face each other, with its lines above and below."""
    left, right = sorted((picture.boxes[source], picture.boxes[target]), key=lambda box: box.x)
    y = picture.rows[row - 1][0] + picture.rows[row - 1][1] / 2
    start, end = left.x + left.width, right.x
    if picture.boxes[source] is not left:
        kind = {"one": "back", "back": "one", "both": "both"}[kind]
    above = lines[: (len(lines) + 1) // 2]
    below = lines[len(above) :]
    middle = (start + end) / 2
    room = end - start - 4
    return [
        line(start, y, end, y, kind),
        *text(middle, y - 5 - len(above) * LINE, above, room, extra=" muted"),
        *text(middle, y + 3, below, room, extra=" muted"),
    ]


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    tips = {"one": ' marker-end="url(#tip)"', "back": ' marker-start="url(#tip)"'}
    tips["both"] = tips["one"] + tips["back"]
    return f'<path class="line" d="M{n(x1)} {n(y1)}L{n(x2)} {n(y2)}"{tips[kind]}/>'


def text(
    x: float, y: float, lines: list[str], room: float, first: str = "text", anchor: str = "middle", extra: str = ""
) -> list[str]:
    """Lines of text from y downwards. Fails where a line is longer than its room, because a browser would not."""
    parts = []
    for at, words in enumerate(lines):
        kind = first if at == 0 else "text"
        if words.startswith("`"):
            kind, words = "file", words.strip("`")
        wide = len(words) * SIZES[kind] * WIDTHS[kind]
        if wide > room:
            raise ValueError(f"{words!r} needs about {wide:.0f} pixels and has {room:.0f}")
        shade = extra or (" muted" if kind != "title" else "")
        base = y + (at + 0.76) * LINE
        parts.append(
            f'<text class="{kind}{shade}" x="{n(x)}" y="{n(base)}" text-anchor="{anchor}">{html.escape(words)}</text>'
        )
    return parts


def style() -> str:
    fonts = 'text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}'
    sizes = "".join(f".{name}{{font-size:{size}px}}" for name, size in SIZES.items())
    file = ".file{font-family:ui-monospace,Menlo,Consolas,monospace}"
    rest = ".title{font-weight:600}.line{fill:none;stroke-width:1.5}"
    return f"{fonts}{sizes}{file}{rest}{colours(LIGHT)}@media(prefers-color-scheme:dark){{{colours(DARK)}}}"


def colours(palette: dict[str, str]) -> str:
    pairs = {kind: palette[kind].split() for kind in KINDS}
    kinds = "".join(f".{kind}{{fill:{fill};stroke:{stroke}}}" for kind, (fill, stroke) in pairs.items())
    return (
        f".ground{{fill:{palette['ground']};stroke:{palette['border']}}}text{{fill:{palette['text']}}}"
        f".muted{{fill:{palette['muted']}}}.line{{stroke:{palette['line']}}}.tip{{fill:{palette['line']}}}{kinds}"
    )


def n(length: float) -> str:
    """A length with at most one digit behind the point."""
    return f"{length:.1f}".removesuffix(".0")


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: build/diagrams.py [--check]", file=sys.stderr)
        return 2
    stale = []
    for description in sorted(DESCRIPTIONS.glob("*.txt")):
        try:
            drawn = draw(Picture(description.read_text(encoding="utf-8")))
        except (KeyError, ValueError) as error:
            print(f"{description.relative_to(ROOT)}: {error}", file=sys.stderr)
            return 1
        picture = description.with_suffix(".svg")
        if picture.exists() and picture.read_text(encoding="utf-8") == drawn:
            continue
        if arguments:
            stale.append(str(picture.relative_to(ROOT)))
        else:
            picture.write_text(drawn, encoding="utf-8")
    for name in stale:
        print(f"{name} is not up to date: run build/diagrams.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
