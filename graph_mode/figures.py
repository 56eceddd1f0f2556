"""Draws loss curves with matplotlib and writes them as files of the same bytes for the same input.

Nothing here knows what a run is: it draws Lines. matplotlib is imported only to draw something.
"""

import collections
import math

import numpy as np

from graph_mode.whole_file import whole_file

# Okabe and Ito's colours, which colour-blind people can tell apart; grey in place of their yellow,
# which is too pale for a line on white.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, BLACK, GREY)

Line = collections.namedtuple("Line", "label color dashed x smoothed raw low high markers")
Line.__doc__ = """One curve: x and smoothed float64 [n]; raw float64 [n], drawn lightly under it, or
None; low and high float64 [n], the edges of a band, or None; markers (x, values) or None."""

AXES_INCHES = (7.0, 4.6)
LEGEND_ROWS = 24
LOG_SPAN = 10
STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "plot_losses",
    "agg.path.chunksize": 20000,
}
NO_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def draw(lines, title, x_label, y_label, log_y=None):
    """A Figure with the lines and a legend beside them.

    log_y: True, False, or None for a logarithmic axis where the values span it, see spans_decade.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        set_style(matplotlib)
        figure = Figure(figsize=(AXES_INCHES[0] / 0.8, AXES_INCHES[1] / 0.8))
        FigureCanvasAgg(figure)
        axes = figure.add_axes([0.1, 0.1, 0.8, 0.8])
        if spans_decade(lines) if log_y is None else log_y:
            axes.set_yscale("log", nonpositive="mask")
        handles = [draw_line(axes, line, len(lines)) for line in lines]
        handles += explaining_handles(lines)
        axes.set_title(plain(title), loc="left")
        axes.set_xlabel(plain(x_label))
        axes.set_ylabel(plain(y_label))
        axes.margins(x=0.01)
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            borderaxespad=0,
            frameon=False,
            fontsize=9,
            ncol=math.ceil(len(handles) / LEGEND_ROWS),
        )
    return figure


def set_style(matplotlib):
    # Somebody's matplotlibrc would make other bytes of the same input.
    backend = matplotlib.rcParams["backend"]
    matplotlib.rcParams.update(matplotlib.rcParamsDefault)
    matplotlib.rcParams["backend"] = backend
    matplotlib.rcParams.update(STYLE)


def spans_decade(lines):
    """Whether the smoothed values are all positive, the largest LOG_SPAN times the smallest."""
    values = np.concatenate([line.smoothed[np.isfinite(line.smoothed)] for line in lines])
    return bool(len(values) and values.min() > 0 and values.max() >= LOG_SPAN * values.min())


def draw_line(axes, line, of_lines):
    style = "--" if line.dashed else "-"
    if line.raw is not None:
        alpha = max(0.06, 0.3 / math.sqrt(of_lines))
        axes.plot(line.x, line.raw, color=line.color, alpha=alpha, linewidth=0.6, zorder=2)
    if line.low is not None:
        axes.fill_between(
            line.x, line.low, line.high, color=line.color, alpha=0.2, linewidth=0, zorder=2.2
        )
    (handle,) = axes.plot(
        line.x,
        line.smoothed,
        style,
        color=line.color,
        linewidth=1.5,
        zorder=3,
        label=plain(line.label),
    )
    if line.markers is not None:
        axes.plot(
            *line.markers,
            "o",
            color=line.color,
            markersize=5,
            zorder=4,
            markerfacecolor="white" if line.dashed else line.color,
            markeredgewidth=1.2,
        )
    return handle


def explaining_handles(lines):
    """Legend entries for what every line may have with it."""
    from matplotlib.lines import Line2D

    handles = []
    if any(line.raw is not None for line in lines):
        handles.append(Line2D([], [], color=GREY, alpha=0.6, linewidth=0.6, label="not smoothed"))
    if any(line.markers is not None for line in lines):
        handles.append(
            Line2D([], [], color=GREY, marker="o", markersize=5, linestyle="", label="validation")
        )
    return handles


def plain(text):
    """Text that matplotlib shows as it is: no formulas between $, no label left out for its _."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    text = text.replace("$", r"\$")
    return " " + text if text.startswith("_") else text


def save(figure, path, image_format, dpi):
    """Writes the figure whole, without dates or versions: the same figure, the same bytes."""
    import matplotlib

    with matplotlib.rc_context(), whole_file(path) as temporary:
        set_style(matplotlib)
        figure.savefig(
            temporary,
            format=image_format,
            dpi=dpi,
            metadata=NO_METADATA[image_format],
            bbox_inches="tight",
            pad_inches=0.15,
        )
