"""Draws curves with matplotlib and writes them as files: the same input, the same bytes.

Nothing here knows what a run is: it draws Lines. matplotlib is imported only to draw something.
"""

import contextlib
import datetime
import io
import math
import os
import typing
import warnings

import numpy as np

from graph_mode.command_line import CommandError, printable
from graph_mode.output_file import output_file

# Okabe and Ito's colours, which colour-blind people can tell apart; grey in place of their yellow,
# which is too pale for a line on white.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, BLACK, GREY)
BATCH_NORM_COLORS = {False: VERMILION, True: BLUE}


class Line(typing.NamedTuple):
    """One curve, of float64 [n]. Where a value is nan, it has a gap."""

    label: str
    color: str
    dashed: bool  # without batch norm, where the colour does not tell
    x: np.ndarray
    y: np.ndarray
    raw: typing.Optional[np.ndarray] = None  # single batches, drawn lightly under it
    low: typing.Optional[np.ndarray] = None  # the edges of a band
    high: typing.Optional[np.ndarray] = None
    markers: typing.Optional[tuple] = None  # (x, y), the same measured on the validation set
    dotted: typing.Optional[tuple] = None  # (x, y), the same with population statistics
    edges: bool = False  # whether the edges of the band are lines too
    faint: bool = False  # whether it is thin, and behind the others


class Panel(typing.NamedTuple):
    """The axes of a figure."""

    lines: list
    x_label: str
    y_label: str
    scale: str = "linear"  # of y: "linear", "log", or "accuracy" for fractions of right answers
    dates: bool = False  # whether x is in days since 1970 (UTC) and shown as dates
    reference: typing.Optional[float] = None  # the loss of answering the class frequencies
    samples: str = "seeds"  # what bands are of
    title: str = ""
    limits: tuple = ()  # values that the y axis has to hold besides
    zero: bool = False  # whether a line marks 0


# Of a panel with its labels, and of a single one.
PANEL_INCHES, ONE_PANEL_INCHES = (5.3, 4.6), (7.9, 5.6)
LEGEND_ROWS = 22
LABEL_CHARACTERS = 60
# A logarithmic axis is chosen when the largest value is at least so many times the smallest.
LOG_SPAN = 10
# With more lines than this, light lines and full-size markers would hide what there is to see.
MANY_LINES = 12
# Up to so many points each has a marker.
FEW_MARKERS = 40
# A curve of more points is drawn by the extremes of so many stretches, more than it has pixels.
MAX_POINTS, STRETCHES = 20000, 9000
ACCURACY_TICKS = (0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
# One error in a validation set of 5000; an accuracy of 1 is drawn there.
SMALLEST_ERROR = 2e-4
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.borderaxespad": 0,
    "legend.borderpad": 0,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.loc": "upper left",
    "svg.hashsalt": "plot_losses",
}
NO_METADATA = {"png": ["Software"], "svg": ["Date", "Creator"]}
NO_METADATA["pdf"] = ["CreationDate", "Creator", "Producer"]
NO_WINDOWS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")
# In place of how a line looks: the entry of a legend for a band.
BAND = None


def draw(panels, title="", window=False):
    """A Figure of the Panels side by side, with a legend beside them.

    window: whether matplotlib.pyplot shall know of the figure, to show it.
    """
    entries = legend_entries(panels)
    panels = [panels[0]._replace(title=title), *panels[1:]]
    size = ONE_PANEL_INCHES if len(panels) == 1 else PANEL_INCHES
    return draw_rows([panels], entries, size, window=window)


def draw_rows(rows, entries, size, title="", y_label="", window=False):
    """A Figure of rows of Panels, with a title and a y label for all of them.

    entries: [(text, look)] of the legend, where look is what plot() takes, or BAND; size: the
    inches of a panel with its labels.
    """
    with style():
        # The layout finds the size of the legend. How large the panels get beside it is estimated.
        longest = max([len(line) for text, _ in entries for line in text.split("\n")], default=-7)
        legend_columns = math.ceil(len(entries) / LEGEND_ROWS)
        legend_inches = legend_columns * 0.068 * (min(longest, LABEL_CHARACTERS) + 7)
        inches = len(rows[0]) * size[0] + legend_inches, len(rows) * size[1] + 0.4 * bool(title)
        figure = new_figure(inches, window)
        # The legend stands in axes of no width, for which the layout makes room.
        widths = [1] * len(rows[0]) + [1e-3]
        grid = figure.add_gridspec(len(rows), len(widths), width_ratios=widths)
        for i, row in enumerate(rows):
            for j, panel in enumerate(row):
                axes = figure.add_subplot(grid[i, j], sharex=figure.axes[0] if i + j else None)
                draw_panel(axes, panel)
                axes.set_title(plain(panel.title), **({"fontsize": 10} if title else {}))
        beside = figure.add_subplot(grid[:, -1])
        beside.axis("off")
        beside.legend(handles=[handle(*entry) for entry in entries], ncol=legend_columns or 1)
        if title:
            figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        if y_label:
            figure.supylabel(y_label, fontsize=10)
            figure.align_ylabels()
    return figure


def new_figure(inches, window):
    if window:
        from matplotlib import pyplot

        return pyplot.figure(figsize=inches)
    from matplotlib.figure import Figure

    return Figure(inches)


def plain(text):
    """Text that matplotlib shows as it is: not taken as a formula for its $, nor left out of a
    legend for its leading _."""
    text = printable(text, keep="\n").replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@contextlib.contextmanager
def style():
    """The settings of this project, whatever matplotlibrc and MPLBACKEND say."""
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A character that the font has not is shown as a box.
        warnings.filterwarnings("ignore", ".*[Gg]lyph .*missing")
        # Somebody's matplotlibrc would make other bytes of the same input.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def image(figure, image_format, dpi):
    """The figure as bytes, without dates or versions: the same figure, the same bytes."""
    file = io.BytesIO()
    with style():
        metadata = dict.fromkeys(NO_METADATA[image_format])
        figure.savefig(file, format=image_format, dpi=dpi, metadata=metadata)
    return file.getvalue()


def save(figure, path, image_format, dpi):
    """Writes the figure. Raises OSError if `path` cannot be written."""
    content = image(figure, image_format, dpi)
    with output_file(path, "wb") as file:
        file.write(content)


def require_window():
    """Raises CommandError if no window can be opened here."""
    try:
        from matplotlib import pyplot

        pyplot.close(pyplot.figure())
        problem = f"matplotlib's backend {pyplot.get_backend()} has none"
        if pyplot.get_backend().lower() not in NO_WINDOWS:
            return
    except (ImportError, ValueError, RuntimeError) as error:
        problem = str(error).split(";")[0]
    raise CommandError(
        f"--show needs a window: {problem}; leave out --show: the figures are files too"
    )


def show():
    """Opens the figures that draw() made with window=True, until a person has closed them."""
    from matplotlib import pyplot

    pyplot.show()


def show_inline(figure):
    """Shows the figure in the notebook that runs this process."""
    from IPython.display import Image, display

    display(Image(data=image(figure, "png", dpi=100)))


def shades(color, count):
    """`count` shades of a colour '#rrggbb', from darker to lighter; the colour itself for one."""
    darkest = 0.0 if count < 3 or color == BLACK else -0.45
    return [mixed(color, amount) for amount in np.linspace(darkest, 0.6, count).tolist()]


def mixed(color, amount):
    """The colour moved towards white (amount up to 1) or towards black (down to -1)."""
    target = 255 if amount > 0 else 0
    channels = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    moved = [round(channel + abs(amount) * (target - channel)) for channel in channels]
    return "#{:02X}{:02X}{:02X}".format(*moved)


def spans_decade(values):
    """Whether a logarithmic axis fits: all are above 0, the largest LOG_SPAN times the smallest."""
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() >= LOG_SPAN * values.min())


def draw_panel(axes, panel):
    small = len(panel.lines) > MANY_LINES
    values = shown_values(panel)
    if panel.scale == "log" and (values > 0).any():
        scale_log(axes, values[values > 0])
    elif panel.scale == "accuracy":
        scale_accuracy(axes, values)
    if panel.dates:
        show_dates(axes)
    for line in panel.lines:
        draw_line(axes, line, len(panel.lines), small)
    if panel.reference is not None:
        axes.axhline(panel.reference, color=GREY, linewidth=0.8, linestyle="-.", zorder=1.5)
    if panel.zero:
        axes.axhline(0, color=GREY, linewidth=0.6, zorder=1)
    axes.set_xlabel(plain(panel.x_label))
    axes.set_ylabel(plain(panel.y_label))
    axes.tick_params(labelbottom=bool(panel.x_label))
    axes.update_datalim([(0, limit) for limit in panel.limits], updatex=False)
    axes.margins(x=0.01, y=0.04)
    axes.autoscale_view()
    for line in panel.lines:
        # Single batches may stand out.
        if line.raw is not None and not small:
            shown = extremes(line.raw, line.raw)
            look = {"alpha": 0.25 / math.sqrt(len(panel.lines)), "linewidth": 0.5, "zorder": 1.8}
            axes.plot(line.x[shown], line.raw[shown], color=line.color, scaley=False, **look)


def shown_values(panel):
    """float64 [n]: what the y axis has to hold."""
    curves = [(np.array(panel.limits), np.array(panel.limits))]
    for line in panel.lines:
        curves += [(line.x, y) for y in (line.y, line.low, line.high) if y is not None]
        curves += [points for points in (line.markers, line.dotted) if points is not None]
    return np.concatenate([y[np.isfinite(x) & np.isfinite(y)] for x, y in curves])


def scale_log(axes, values):
    """A logarithmic axis with plain numbers on it, and more of them where it is short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log", nonpositive="mask")
    plain_numbers = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(plain_numbers)
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    short = values.max() < 200 * values.min()
    axes.yaxis.set_minor_formatter(plain_numbers if short else NullFormatter())


def scale_accuracy(axes, values):
    """An axis in percent, on which a step from 90 to 99 is as long as one from 99 to 99.9.

    So the rise from chance and the differences at the end are both to be seen. Linear where no
    accuracy is high or none is low.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if len(values) and values.max() > 0.95 and values.min() < 0.8:

        def forward(accuracy):
            return -np.log10(np.maximum(1 - np.asarray(accuracy, float), SMALLEST_ERROR))

        axes.set_yscale("function", functions=(forward, lambda y: 1 - 10.0 ** -np.asarray(y)))
        axes.yaxis.set_major_locator(FixedLocator(ACCURACY_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda accuracy, _: f"{100 * accuracy:g}"))


def show_dates(axes):
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=datetime.timezone.utc)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=datetime.timezone.utc))


def draw_line(axes, line, of_lines, small):
    """Draws a line with what belongs to it, but for single batches."""
    if line.low is not None:
        shown = extremes(line.low, line.high)
        x, low, high = line.x[shown], line.low[shown], line.high[shown]
        alpha = 0.2 if line.edges else 0.3 / math.sqrt(of_lines)
        axes.fill_between(x, low, high, color=line.color, alpha=alpha, linewidth=0, zorder=2.2)
        for edge in (low, high) if line.edges else ():
            axes.plot(x, edge, color=line.color, linewidth=0.7, alpha=0.7, zorder=2.3)
    shown = extremes(line.y, line.y)
    axes.plot(line.x[shown], line.y[shown], **look_of(line, small))
    if line.dotted is not None:
        axes.plot(*line.dotted, color=line.color, linestyle=":", linewidth=1.2, zorder=3)
    if line.markers is not None:
        axes.plot(*line.markers, zorder=4, **validation_look(line, small))


def look_of(line, small=False):
    """How plot() draws a line, and a legend shows it.

    Its own points are marked only if no others could be taken for them. A single point is no line,
    so it is marked, with a square beside the circles of the validation.
    """
    look = {"color": line.color, "linestyle": (0, (4, 1.5)) if line.dashed else "-"}
    if line.faint:
        return {**look, "linewidth": 0.7, "zorder": 1.9}
    look.update(linewidth=1.0 if small else 1.5, zorder=3)
    if line.markers is None and len(line.x) <= FEW_MARKERS:
        look.update(marker_of(line, "o", small))
    elif len(line.x) == 1:
        look.update(marker_of(line, "s", small))
    return look


def validation_look(line, small=False):
    """How plot() draws what was measured on the validation set: as points, if they are few."""
    if len(line.markers[0]) > FEW_MARKERS:
        return {"color": line.color, "linewidth": 0.8, "alpha": 0.7}
    return {"color": line.color, "linestyle": "", **marker_of(line, "o", small)}


def marker_of(line, marker, small):
    """A point, open where the line is dashed."""
    face = "white" if line.dashed else line.color
    return {"marker": marker, "markersize": 2.5 if small else 3.5, "markerfacecolor": face}


def extremes(low, high):
    """The indices to draw of a curve (low and high the same) or a band, so that it looks the same.

    All of them, or the smallest low and the largest high of each of STRETCHES parts: matplotlib
    cannot draw a path of a million points in one piece, and no picture is that wide.
    """
    if len(low) <= MAX_POINTS:
        return np.arange(len(low))
    low, high = np.where(np.isnan(low), np.inf, low), np.where(np.isnan(high), -np.inf, high)
    edges = np.linspace(0, len(low), STRETCHES + 1, dtype=int)
    found = {len(low) - 1}
    for start, end in zip(edges, edges[1:]):
        found |= {start + low[start:end].argmin(), start + high[start:end].argmax()}
    return np.array(sorted(found))


def legend_entries(panels):
    """An entry for each look of a line, and in grey what all lines have."""
    lines = [line for panel in panels for line in panel.lines]
    looks, marked = {}, {}
    for line in lines:
        looks.setdefault((line.color, line.dashed, len(panels) > 1 or line.label), line)
        if line.markers is not None:
            marked.setdefault(line.dashed, line._replace(color=GREY))
    entries = [(line.label, look_of(line)) for line in looks.values()]
    if any(line.raw is not None for line in lines) and len(lines) <= MANY_LINES * len(panels):
        entries.append(("single batches", {"color": mixed(GREY, 0.5), "linewidth": 0.8}))
    for samples in sorted({p.samples for p in panels if any(li.low is not None for li in p.lines)}):
        entries.append((f"mean of n {samples}, smallest to largest", BAND))
    for dashed in sorted(marked):
        side = f", {'without' if dashed else 'with'} batch norm" if len(marked) > 1 else ""
        entries.append((f"validation{side}", validation_look(marked[dashed])))
    if any(line.dotted is not None for line in lines):
        entries.append(("with population statistics", {"linestyle": ":"}))
    for value in sorted({panel.reference for panel in panels} - {None}):
        text = f"answering the class frequencies: {value:.3f}"
        entries.append((text, {"linestyle": "-.", "linewidth": 0.8}))
    return entries


def handle(text, look):
    """What a legend shows for an entry, with the middle of the text left out if it is too long."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    half = LABEL_CHARACTERS // 2
    text = text if len(text) <= LABEL_CHARACTERS else f"{text[: half - 1]}…{text[-half:]}"
    if look is BAND:
        return Patch(color=GREY, alpha=0.3, linewidth=0, label=text)
    return Line2D([], [], label=plain(text), **{"color": GREY, **look})
