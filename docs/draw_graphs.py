"""Draws the two computational graphs of docs/gradients.md as SVG files.

    python docs/draw_graphs.py [FOLDER]     (default: docs/graphs, beside this script)

Every letter is drawn as an outline, so that a drawing looks the same with any fonts. It carries its
own background and two sets of colours, for light and for dark pages. The same matplotlib release
writes the same bytes.
"""

import os
import sys

import matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

matplotlib.rcParams["mathtext.fontset"] = "stix"

RADIUS = 23  # of a node
WIDE = 88  # the width of a node with a word inside
GAP = 4  # from the middle of an edge to its forward and to its gradient arrow
CORNER = 10  # radius of the corners of an edge

# class: (light, dark)
COLOURS = {
    "page": ("#ffffff", "#0d1117"),
    "scope": ("#f6f8fa", "#151b23"),
    "frame": ("#d1d9e0", "#3d444d"),
    "node": ("#ffffff", "#0d1117"),
    "value": ("#1f2328", "#f0f6fc"),
    "quiet": ("#59636e", "#9198a1"),
    "gradient": ("#bc1c2c", "#ff8d84"),
    "number": ("#0a55b5", "#79b8ff"),
    "digit": ("#ffffff", "#0d1117"),
}


class Drawing:
    """Elements of an SVG file, in the order of painting; coordinates in pixels, y downwards."""

    def __init__(self, width, height, title, description):
        self.elements = []
        self.width, self.height = width, height
        self.head = f"<title>{title}</title>\n<desc>{description}</desc>\n"
        self.box(1, 1, width - 2, height - 2, "page")

    def box(self, x, y, width, height, fill):
        self.elements.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" '
            f'class="{fill} frame-line"/>'
        )

    def text(self, text, x, y, colour="value", size=17, anchor="middle", mono=False):
        """Text or $mathematics$ with its middle height at y; returns its width."""
        family = "DejaVu Sans Mono" if mono else "STIXGeneral"
        outline = TextPath((0, 0), text, size=size, prop=FontProperties(family=family))
        # Fractions are centred as a whole; letters on the middle of an x, so that a row lines up.
        extent = outline.get_extents()
        middle = (extent.y0 + extent.y1) / 2 if "frac" in text else 0.23 * size
        shift = {"start": 0, "middle": extent.width / 2, "end": extent.width}[anchor]
        data = outline_data(outline, x - extent.x0 - shift, y + middle)
        self.elements.append(f'<path d="{data}" class="{colour}"/>')
        return extent.width

    def arrow(self, points, colour):
        """A line with rounded corners along `points` and a head at its end."""
        data = f"M{number(points[0][0])},{number(points[0][1])}"
        for before, corner, after in zip(points, points[1:], points[2:]):
            first, last = towards(corner, before, CORNER), towards(corner, after, CORNER)
            data += (
                f"L{number(first[0])},{number(first[1])}Q{number(corner[0])},{number(corner[1])} "
                f"{number(last[0])},{number(last[1])}"
            )
        tip = points[-1]
        base = towards(tip, points[-2], 7)
        data += f"L{number(base[0])},{number(base[1])}"
        self.elements.append(f'<path d="{data}" class="{colour}-line"/>')
        across = ((base[1] - tip[1]) / 2, (tip[0] - base[0]) / 2)
        head = (
            tip,
            (base[0] + across[0], base[1] + across[1]),
            (base[0] - across[0], base[1] - across[1]),
        )
        corners = " ".join(f"{number(x)},{number(y)}" for x, y in head)
        self.elements.append(f'<polygon points="{corners}" class="{colour}"/>')

    def edge(self, *points, back=True):
        """A forward arrow along right-angled `points` and, if `back`, the gradient's beside it."""
        self.arrow(beside(points, GAP if back else 0), "value")
        if back:
            self.arrow(beside(points, -GAP)[::-1], "gradient")

    def node(self, index, x, y, symbol, width=2 * RADIUS):
        """An operation: its symbol in a circle (or a longer pill) with its number."""
        self.elements.append(
            f'<rect x="{number(x - width / 2)}" y="{y - RADIUS}" width="{width}" '
            f'height="{2 * RADIUS}" rx="{RADIUS}" class="node node-line"/>'
        )
        self.text(symbol, x, y)
        self.badge(x - width / 2 + 5, y - RADIUS + 3, str(index))

    def badge(self, x, y, digits):
        self.elements.append(f'<circle cx="{number(x)}" cy="{y}" r="10" class="number"/>')
        self.text(digits, x, y, "digit", 13)

    def leaf(self, x, y, name, shape):
        """An input or a parameter: its name and shape in a frame."""
        self.elements.append(
            f'<rect x="{x - 40}" y="{y - 16}" width="80" height="32" rx="6" '
            f'class="node frame-line"/>'
        )
        self.value(x, y, name, shape)

    def parameter(self, x, y, node_y, name, shape, target):
        """A leaf above a node, the edge between them and the gradient beside it."""
        self.leaf(x, y, f"${name}$", shape)
        self.edge((x, y + 16), (x, node_y - RADIUS))
        self.gradient(x + 14, (y + 16 + node_y - RADIUS) / 2, target, name, "start")

    def labels(self, x, y, name, shape, target):
        """The forward value above and the gradient below an edge at height y."""
        self.value(x, y - 18, f"${name}$", shape)
        self.gradient(x, y + 30, target, name)

    def beside_labels(self, x, y, name, shape):
        """The forward value to the left and the gradient to the right of a vertical edge at x."""
        self.value(x - 14, y, f"${name}$", shape, "end")
        self.gradient(x + 14, y, "F", name, "start")

    def fork(self, *points):
        """An edge that leaves another one downwards: the value is copied, the gradients added."""
        forward, backward = beside(points, GAP), beside(points, -GAP)
        forward[0] = (forward[0][0], forward[0][1] - GAP)
        backward[0] = (backward[0][0], backward[0][1] + GAP)
        self.arrow(forward, "value")
        self.arrow(backward[::-1], "gradient")
        for (x, y), colour in ((forward[0], "value"), (backward[0], "gradient")):
            self.elements.append(f'<circle cx="{x}" cy="{y}" r="3.5" class="{colour}"/>')

    def branch(self, x, y, node):
        """Which node sends the gradient on a branch of a fork."""
        self.text(f"via {node}", x, y, "gradient", 14)

    def value(self, x, y, name, shape, anchor="middle"):
        """A forward value and, smaller, its shape."""
        gap = 6
        name_width, shape_width = text_width(name, 18), text_width(shape, 13)
        width = name_width + gap + shape_width
        left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
        self.text(name, left, y, size=18, anchor="start")
        self.text(shape, left + name_width + gap, y + 1, "quiet", 13, "start")

    def gradient(self, x, y, target, name, anchor="middle"):
        fraction = rf"$\frac{{\partial {target}}}{{\partial {name}}}$"
        self.text(fraction, x, y, "gradient", 21, anchor)

    def scope(self, x, y, width, height, name):
        """A frame with the name scope that the nodes inside have in TensorBoard."""
        self.box(x, y, width, height, "scope")
        self.text(name, x + 16, y + 20, "quiet", 13, "start", mono=True)

    def legend(self, y):
        self.arrow(((60, y), (100, y)), "value")
        self.text(
            "forward: the value and its shape, above the edge", 112, y, size=15, anchor="start"
        )
        self.arrow(((510, y), (470, y)), "gradient")
        self.text("backward: the gradient, below it", 522, y, size=15, anchor="start")
        self.badge(808, y, "1")
        self.text("number of the node", 826, y, size=15, anchor="start")

    def save(self, path):
        style = "\n".join(
            [rules(0), "@media (prefers-color-scheme: dark) {", rules(1), "}"]
            + [
                f".{name}-line {{ fill: none; stroke-width: {width} }}"
                for name, width in (("value", 1.6), ("gradient", 1.4))
            ]
        )
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
                f'viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}">\n'
                f"{self.head}<style>\n{style}\n</style>\n" + "\n".join(self.elements) + "\n</svg>\n"
            )


def rules(column):
    """The CSS rules of all colours, light (0) or dark (1)."""
    lines = [f".{name} {{ fill: {colours[column]} }}" for name, colours in COLOURS.items()]
    for name in ("value", "gradient", "frame"):
        lines.append(f".{name}-line {{ stroke: {COLOURS[name][column]} }}")
    lines.append(f".node-line {{ stroke: {COLOURS['value'][column]} }}")
    return "\n".join(lines)


def outline_data(outline, x, y):
    """A matplotlib path as SVG path data, moved to (x, y) and turned over."""
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    data = []
    for points, code in outline.iter_segments(simplify=False, curves=True):
        if code == Path.CLOSEPOLY:
            data.append("Z")
            continue
        pairs = zip(points[::2], points[1::2])
        data.append(letters[code] + " ".join(f"{number(x + a)},{number(y - b)}" for a, b in pairs))
    return "".join(data)


def text_width(text, size):
    outline = TextPath((0, 0), text, size=size, prop=FontProperties(family="STIXGeneral"))
    return outline.get_extents().width


def number(value):
    """At most two decimals, none that say nothing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def towards(start, end, distance):
    """The point `distance` from `start` on the way to `end`, along an axis."""
    sign = [(b > a) - (b < a) for a, b in zip(start, end)]
    return start[0] + sign[0] * distance, start[1] + sign[1] * distance


def beside(points, distance):
    """Right-angled `points` moved `distance` to the left of their direction."""
    moved = [list(point) for point in points]
    for i, (start, end) in enumerate(zip(points, points[1:])):
        axis = 1 if start[1] == end[1] else 0
        forward = end[1 - axis] > start[1 - axis]
        offset = distance if forward != (axis == 1) else -distance
        moved[i][axis] += offset
        moved[i + 1][axis] += offset
    return [tuple(point) for point in moved]


def draw_network():
    """Problems 1 and 2: one row a layer."""
    drawing = Drawing(
        1000,
        750,
        "Computational graph of the network",
        "Nodes 1 to 10 lead from the inputs X to the loss L. Above each edge its forward value, "
        "below it the gradient of the loss.",
    )
    rows = (
        ("layer_1", ("n_1", "d"), ("u_1", "h_1", "a_1"), r"$\sigma$", 2 * RADIUS),
        ("layer_2", ("n_2", "n_1"), ("u_2", "h_2", "a_2"), r"$\tanh$", 2 * RADIUS),
        ("output", ("k", "n_2"), ("u_3", "o", "p"), r"$\mathrm{softmax}$", WIDE),
    )
    multiply, add, function, right = 230, 430, 630, 820
    for i in range(len(rows)):
        drawing.scope(40, 20 + 228 * i, 920, 204, rows[i][0])
    for i, (_, (units, inputs), values, symbol, width) in enumerate(rows):
        top = 20 + 228 * i
        y = top + 138
        shape = rf"${units}\times m$"
        drawing.parameter(multiply, top + 40, y, f"W_{i + 1}", rf"${units}\times {inputs}$", "L")
        drawing.parameter(add, top + 40, y, f"b_{i + 1}", rf"${units}\times 1$", "L")
        drawing.edge((multiply + RADIUS, y), (add - RADIUS, y))
        drawing.edge((add + RADIUS, y), (function - width / 2, y))
        drawing.labels((multiply + add) / 2, y, values[0], shape, "L")
        drawing.labels((add + function) / 2, y, values[1], shape, "L")
        drawing.labels((function + right) / 2, y, values[2], shape, "L")
        drawing.node(3 * i + 1, multiply, y, r"$\times$")
        drawing.node(3 * i + 2, add, y, "$+$")
        drawing.node(3 * i + 3, function, y, symbol, width)
        if i < 2:
            gap = top + 216
            next_y = y + 228
            turns = ((980, y), (980, gap), (20, gap), (20, next_y))
            drawing.edge((function + RADIUS, y), *turns, (multiply - RADIUS, next_y))
    first, last = 158, 614
    drawing.leaf(112, first, "$X$", r"$d\times m$")
    drawing.edge((152, first), (multiply - RADIUS, first), back=False)
    drawing.edge((function + WIDE / 2, last), (right - WIDE / 2, last))
    drawing.leaf(right, last - 98, "$y$", r"$k\times m$")
    drawing.edge((right, last - 82), (right, last - RADIUS), back=False)
    drawing.node(10, right, last, r"$-y\,\log\,p$", WIDE)
    drawing.edge((right + WIDE / 2, last), (940, last))
    drawing.text("$L$", 902, last - 18)
    drawing.text("$1$", 902, last + 20, "gradient")
    drawing.legend(715)
    return drawing


def draw_batch_norm():
    """Problem 3: what leads to the output in the upper row, the statistics below it."""
    drawing = Drawing(
        1060,
        480,
        "Computational graph of batch normalization",
        "Nodes 1 to 9 lead from the inputs x to the outputs y. Above each edge its forward value, "
        "below it the gradient of F. x feeds nodes 1 and 2, the centred c feeds nodes 3 and 7: "
        "there the gradients of both branches are added.",
    )
    drawing.scope(20, 20, 1020, 396, "batch_normalization")
    upper, lower = 168, 340
    fork_x, fork_c = 128, 305
    subtract, square, mean, root, inverse = 205, 370, 480, 600, 710
    scale, shift, end = 825, 935, 1025
    batch, vector = r"$m\times d$", "$d$"
    wide = 84

    drawing.leaf(72, upper, "$x$", batch)
    drawing.gradient(72, upper + 42, "F", "x")
    drawing.edge((112, upper), (subtract - RADIUS, upper))
    drawing.fork((fork_x, upper), (fork_x, lower), (subtract - RADIUS, lower))
    drawing.branch(fork_x + 27, upper + 18, 2)
    drawing.branch(fork_x + 27, lower + 20, 1)
    drawing.edge((subtract, lower - RADIUS), (subtract, upper + RADIUS))
    drawing.beside_labels(subtract, (upper + lower) / 2, r"\mu", vector)

    drawing.edge((subtract + RADIUS, upper), (inverse - RADIUS, upper))
    drawing.fork((fork_c, upper), (fork_c, lower), (square - RADIUS, lower))
    drawing.labels((subtract + RADIUS + fork_c) / 2, upper, "c", batch, "F")
    drawing.branch(fork_c + 30, upper + 18, 7)
    drawing.branch(fork_c + 22, lower + 20, 3)
    drawing.edge((square + RADIUS, lower), (mean - RADIUS, lower))
    drawing.labels((square + mean) / 2, lower, "q", batch, "F")
    drawing.edge((mean + RADIUS, lower), (root - wide / 2, lower))
    drawing.labels((mean + RADIUS + root - wide / 2) / 2, lower, "v", vector, "F")
    drawing.edge((root + wide / 2, lower), (inverse - RADIUS, lower))
    drawing.labels((root + wide / 2 + inverse - RADIUS) / 2, lower, "s", vector, "F")
    drawing.edge((inverse, lower - RADIUS), (inverse, upper + RADIUS))
    drawing.beside_labels(inverse, (upper + lower) / 2, "r", vector)

    drawing.edge((inverse + RADIUS, upper), (scale - RADIUS, upper))
    drawing.labels((inverse + scale) / 2, upper, r"\hat{x}", batch, "F")
    drawing.edge((scale + RADIUS, upper), (shift - RADIUS, upper))
    drawing.labels((scale + shift) / 2, upper, "g", batch, "F")
    drawing.edge((shift + RADIUS, upper), (end, upper))
    drawing.labels((shift + RADIUS + end) / 2, upper, "y", batch, "F")
    drawing.parameter(scale, upper - 98, upper, r"\gamma", vector, "F")
    drawing.parameter(shift, upper - 98, upper, r"\beta", vector, "F")

    average = r"$\frac{1}{m}\sum$"
    drawing.node(1, subtract, lower, average)
    drawing.node(2, subtract, upper, "$-$")
    drawing.node(3, square, lower, r"$(\,\cdot\,)^2$")
    drawing.node(4, mean, lower, average)
    drawing.node(5, root, lower, r"$\sqrt{\,\cdot\,+\epsilon}$", wide)
    drawing.node(6, inverse, lower, r"$1/\,\cdot$")
    drawing.node(7, inverse, upper, r"$\times$")
    drawing.node(8, scale, upper, r"$\times$")
    drawing.node(9, shift, upper, "$+$")
    drawing.legend(448)
    return drawing


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "graphs")
    draw_network().save(os.path.join(folder, "network.svg"))
    draw_batch_norm().save(os.path.join(folder, "batch_normalization.svg"))


if __name__ == "__main__":
    main()
