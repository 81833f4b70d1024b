#!/usr/bin/env python3
"""Makes a picture of a terminal: `tmux capture-pane -e -p | tests/picture.py COLUMNS > client/top.svg`."""
import re
import sys
from html import escape

COLOURS = ["#586e75", "#ff6b6b", "#69d58c", "#e8c46a", "#6cb2f0", "#d38ae8", "#5fd3d3", "#d7dde3"]
PAPER, INK, WIDTH, HEIGHT = "#11161c", "#d7dde3", 8.4, 18


def runs(line, style):
    """The pieces of a line that look alike; the style goes on into the next line."""
    for text, codes in re.findall(r"([^\x1b]+)|\x1b\[([\d;]*)m", line):
        if text:
            yield text, dict(style)
            continue
        numbers = [int(code or 0) for code in codes.split(";")]
        while numbers:
            code = numbers.pop(0)
            if code == 0:
                style.clear()
            elif code in (1, 2, 7):
                style[code] = True
            elif code == 39:
                style.pop("ink", None)
            elif code == 38:
                style["ink"] = COLOURS[numbers[1] % 8]
                del numbers[:2]
            elif 30 <= code <= 37:
                style["ink"] = COLOURS[code - 30]


def main():
    columns = int(sys.argv[1])
    lines = sys.stdin.read().rstrip("\n").split("\n")
    width, height = columns * WIDTH + 24, len(lines) * HEIGHT + 24
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}">')
    print(f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>')
    print("<g font-family=\"'DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"14\" xml:space=\"preserve\">")
    style = {}
    for row, line in enumerate(lines):
        column = 0
        for text, look in runs(line, style):
            x, y, wide = 12 + column * WIDTH, 12 + row * HEIGHT, len(text) * WIDTH
            column += len(text)
            ink = look.get("ink", INK)
            if 7 in look:
                print(f'<rect x="{x:g}" y="{y}" width="{wide:g}" height="{HEIGHT}" fill="{ink}"/>')
                ink = PAPER
            if not text.strip():
                continue
            weight = ' font-weight="bold"' if 1 in look else ""
            faint = ' opacity="0.6"' if 2 in look else ""
            print(f'<text x="{x:g}" y="{y + 14}" textLength="{wide:g}" fill="{ink}"{weight}{faint}>{escape(text)}</text>')
    print("</g>\n</svg>")


main()
