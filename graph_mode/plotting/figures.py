"""Draws curves with matplotlib and writes them as files: the same input, the same bytes.

Nothing here knows what a run is: it draws Lines. matplotlib is imported only to draw something.
"""

import collections
import datetime
import math

import numpy as np

from graph_mode.command_line import CommandError
from graph_mode.plotting.figure_text import fonts_for, plain
from graph_mode.whole_file import whole_file

# Okabe and Ito's colours, which colour-blind people can tell apart; grey in place of their yellow,
# which is too pale for a line on white.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, BLACK, GREY)

Line = collections.namedtuple("Line", "label color dashed x y raw low high markers")
Line.__doc__ = """One curve: x and y float64 [n]; raw float64 [n], drawn lightly under it, or None;
low and high float64 [n], the edges of a band, or None; markers (x, y) or None. Where a value is
nan, the curve has a gap."""

AXES_INCHES = (7.0, 4.6)
MARGIN_INCHES = 0.15
LEGEND_ROWS = 22
LABEL_CHARACTERS = 60
# A logarithmic axis is chosen when the largest value is at least so many times the smallest.
LOG_SPAN = 10
# With more lines than this, light lines and full-size markers would hide what there is to see.
MANY_LINES = 12
# A curve of more points is drawn by the extremes of so many stretches, more than it has pixels.
MAX_POINTS, STRETCHES = 20000, 9000
STYLE = {
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 12,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "plot_losses",
}
NO_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def shades(color, count):
    """`count` shades of a colour '#rrggbb', from darker to lighter; the colour itself for one."""
    if count == 1:
        return [color]
    darkest = 0.0 if count == 2 or color == BLACK else -0.45
    return [mixed(color, amount) for amount in np.linspace(darkest, 0.6, count).tolist()]


def mixed(color, amount):
    """The colour moved towards white (amount up to 1) or towards black (down to -1)."""
    target = 255 if amount > 0 else 0
    channels = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    moved = [round(channel + abs(amount) * (target - channel)) for channel in channels]
    return "#{:02X}{:02X}{:02X}".format(*moved)


def draw(lines, title, x_label, y_label, log_y=False, dates=False, notes=(), window=False):
    """A Figure of the lines, with a legend beside them.

    Args:
        lines: [Line].
        log_y: whether the y axis is logarithmic, see spans_decade; without a value above 0 it is
            linear all the same.
        dates: whether x is in days since 1970 (UTC) and shown as dates.
        notes: what the legend tells besides: (symbol, text), where symbol is "line", "band",
            "marker" or "none".
        window: whether matplotlib.pyplot shall know of the figure, so that it can be shown.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        set_style(matplotlib)
        texts = [title, x_label, y_label] + [shortened(line.label) for line in lines]
        matplotlib.rcParams["font.family"], missing = fonts_for(texts)
        if window:
            import matplotlib.pyplot

            figure = matplotlib.pyplot.figure()
        else:
            figure = Figure()
            FigureCanvasAgg(figure)
        axes = figure.add_axes([0, 0, 1, 1])
        if log_y and any_positive(lines):
            axes.set_yscale("log", nonpositive="mask")
        if dates:
            show_dates(axes)
        handles = [draw_line(axes, line, len(lines), missing) for line in lines]
        handles += [note_handle(symbol, text) for symbol, text in notes]
        axes.set_title(plain(title, missing), loc="left")
        axes.set_xlabel(plain(x_label, missing))
        axes.set_ylabel(plain(y_label, missing))
        axes.margins(x=0.01)
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.02, 1.0),
            borderaxespad=0,
            frameon=False,
            fontsize=9,
            ncol=math.ceil(len(handles) / LEGEND_ROWS),
        )
        fit(figure, axes)
    return figure


def save(figure, path, image_format, dpi):
    """Writes the figure whole, without dates or versions: the same figure, the same bytes.

    Raises:
        OSError: `path` cannot be written.
    """
    import matplotlib

    with matplotlib.rc_context(), whole_file(path) as temporary:
        set_style(matplotlib)
        metadata = NO_METADATA[image_format]
        figure.savefig(temporary, format=image_format, dpi=dpi, metadata=metadata)


def require_window():
    """Raises CommandError if no window can be opened here."""
    import matplotlib

    backend = matplotlib.get_backend()
    if backend.lower() == "agg":
        raise CommandError(
            "--show needs a screen, and matplotlib found none; the figures are files too: leave "
            "out --show"
        )


def show():
    """Opens the figures that draw() made with window=True, until a person has closed them."""
    import matplotlib.pyplot

    matplotlib.pyplot.show()


def spans_decade(lines):
    """Whether a logarithmic axis fits: all y are above 0, the largest LOG_SPAN times the smallest.

    y is the smoothed curve: a single batch with an odd loss does not decide.
    """
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    return bool(len(values) and values.min() > 0 and values.max() >= LOG_SPAN * values.min())


def any_positive(lines):
    return any(np.any(finite[finite > 0]) for finite in map(drawn_values, lines))


def drawn_values(line):
    return line.y[np.isfinite(line.x) & np.isfinite(line.y)]


def set_style(matplotlib):
    # Somebody's matplotlibrc would make other bytes of the same input.
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(STYLE)


def fit(figure, axes):
    """Gives the axes their fixed size and the figure the size that everything needs around them."""
    figure.set_size_inches(AXES_INCHES)
    box = axes.get_tightbbox(figure.canvas.get_renderer())
    left, bottom = MARGIN_INCHES - box.x0 / figure.dpi, MARGIN_INCHES - box.y0 / figure.dpi
    width = left + box.x1 / figure.dpi + MARGIN_INCHES
    height = bottom + box.y1 / figure.dpi + MARGIN_INCHES
    figure.set_size_inches(width, height)
    axes.set_position(
        [left / width, bottom / height, AXES_INCHES[0] / width, AXES_INCHES[1] / height]
    )


def show_dates(axes):
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=datetime.timezone.utc)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=datetime.timezone.utc))


def draw_line(axes, line, of_lines, missing):
    """Draws a line with what belongs to it and returns its legend entry."""
    many = of_lines > MANY_LINES
    if line.raw is not None and not many:
        alpha = 0.3 / math.sqrt(of_lines)
        shown = extremes(line.raw, line.raw)
        axes.plot(
            line.x[shown], line.raw[shown], color=line.color, alpha=alpha, linewidth=0.6, zorder=2
        )
    if line.low is not None:
        shown = extremes(line.low, line.high)
        edges = line.x[shown], line.low[shown], line.high[shown]
        axes.fill_between(*edges, color=line.color, alpha=0.2, linewidth=0, zorder=2.2)
    shown = extremes(line.y, line.y)
    (handle,) = axes.plot(
        line.x[shown],
        line.y[shown],
        color=line.color,
        label=plain(shortened(line.label), missing),
        linestyle=(0, (4, 1.5)) if line.dashed else "-",
        linewidth=1.0 if many else 1.4,
        zorder=3,
    )
    if line.markers is not None:
        axes.plot(
            *line.markers,
            linestyle="",
            marker="o",
            color=line.color,
            markersize=3.5 if many else 5,
            markerfacecolor="white" if line.dashed else line.color,
            zorder=4,
        )
    return handle


def extremes(low, high):
    """The indices to draw of a curve (low and high the same) or a band, so that it looks the same.

    All of them, or the smallest low and the largest high of each of STRETCHES parts: matplotlib
    cannot draw a path of a million points in one piece, and no picture is that wide.
    """
    if len(low) <= MAX_POINTS:
        return np.arange(len(low))
    length = -(-len(low) // STRETCHES)
    whole = len(low) // length * length
    lowest = np.where(np.isnan(low), np.inf, low)[:whole].reshape(-1, length).argmin(axis=1)
    highest = np.where(np.isnan(high), -np.inf, high)[:whole].reshape(-1, length).argmax(axis=1)
    pairs = np.sort(np.stack([lowest, highest], axis=1), axis=1)
    pairs += np.arange(0, whole, length)[:, np.newaxis]
    return np.concatenate([pairs.ravel(), np.arange(whole, len(low))])


def note_handle(symbol, text):
    """A legend entry in grey that explains what all lines have."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if symbol == "none":
        return Line2D([], [], linestyle="", label=text)
    if symbol == "band":
        return Patch(color=GREY, alpha=0.3, linewidth=0, label=text)
    if symbol == "marker":
        return Line2D([], [], color=GREY, marker="o", markersize=5, linestyle="", label=text)
    return Line2D([], [], color=GREY, alpha=0.6, linewidth=0.6, label=text)


def shortened(text):
    """The text, with its middle left out if it is too long for a legend."""
    half = (LABEL_CHARACTERS - 1) // 2
    return text if len(text) <= LABEL_CHARACTERS else f"{text[:half]}…{text[-half:]}"
