"""Draws Lines with matplotlib, which is imported only then: the same input, the same bytes."""

import contextlib
import io
import math
import os
import textwrap
import typing
import warnings

import numpy as np

from graph_mode.command_line import CommandError, printable
from graph_mode.output_file import output_file

# Okabe and Ito's colours, which colour-blind people can tell apart; grey in place of their yellow,
# which is too pale for a line on white.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY, PALE = "#0072B2", "#D55E00", "#CC79A7", "#999999", "#CCCCCC"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, BLACK, GREY)
BATCH_NORM_COLORS = {False: VERMILION, True: BLUE}


class Line(typing.NamedTuple):
    """One curve, of float64 [n], with a gap where a value is nan."""

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


class Panel(typing.NamedTuple):
    """The axes of a figure."""

    lines: list
    x_label: str
    y_label: str
    scale: str = "linear"  # of y: "linear", "log", or "accuracy": see scale_accuracy
    percent: bool = False  # whether the values are fractions, shown in percent
    level: typing.Optional[float] = None  # where a thin line is drawn across
    title: str = ""
    limits: tuple = ()  # values that the y axis has to hold besides


# Of a panel with its labels, of a single one, and of one in several rows.
PANEL_INCHES, ONE_PANEL_INCHES, ROW_INCHES = (5.3, 4.6), (7.9, 5.6), (5.3, 2.8)
LEGEND_ROWS, LABEL_CHARACTERS = 22, 60
LOG_SPAN = 10  # A logarithmic axis is chosen for a largest value so many times the smallest.
HALVED = "equal steps halve the error"  # on the axis of scale_accuracy
STANDS_OUT = 10  # Early values so many times the start and the second half squeeze nothing.
MANY_LINES = 12  # With more, single batches would hide what there is to see.
FEW_MARKERS = 40  # Up to so many points each has a marker.
ACCURACY_TICKS = (0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
# One error in a validation set of 5000; an accuracy of 1 is drawn there.
SMALLEST_ERROR = 2e-4
STYLE = {
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
    "lines.markersize": 3.5,
    "svg.hashsalt": "plot_losses",
}
DATES_AND_VERSIONS = {
    "png": ["Software"],
    "svg": ["Date", "Creator"],
    "pdf": ["CreationDate", "Creator", "Producer"],
}
NO_WINDOWS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")
BAND = None  # In place of how a line looks: the entry of a legend for a band.


def draw(rows, title="", window=False, size=None, y_label="", entries=None):
    """A Figure of rows of Panels, of `size` inches each, with one title and one y label for all;
    size: None for what fits, then a single row has the title of its first panel. entries: [(text,
    look)] of the legend, where look is what plot() takes, or BAND; None for those of the Panels'
    lines. window: pyplot shall know of it."""
    panels = sum(rows, [])
    entries = legend_entries(panels) if entries is None else entries
    if size is None:
        size = ONE_PANEL_INCHES if len(panels) == 1 else PANEL_INCHES
        size = ROW_INCHES if len(rows) > 1 else size
        if len(rows) == 1:
            rows, title = [[panels[0]._replace(title=title), *panels[1:]]], ""
    with style():
        from matplotlib import figure as library

        if window:
            from matplotlib import pyplot
        make = pyplot.figure if window else library.Figure
        # The layout finds the size of the legend. How large the panels get beside it is estimated.
        longest = max([len(line) for text, _ in entries for line in text.split("\n")], default=-7)
        legend_columns = math.ceil(len(entries) / LEGEND_ROWS)
        legend_inches = legend_columns * 0.068 * (min(longest, LABEL_CHARACTERS) + 7)
        inches = len(rows[0]) * size[0] + legend_inches, len(rows) * size[1] + 0.4 * bool(title)
        figure = make(figsize=inches)
        # The legend stands in axes of no width, for which the layout makes room.
        widths = [1] * len(rows[0]) + [1e-3]
        grid = figure.add_gridspec(len(rows), len(widths), width_ratios=widths)
        for place, panel in zip(np.ndindex(len(rows), len(rows[0])), sum(rows, [])):
            axes = figure.add_subplot(grid[place], sharex=figure.axes[0] if any(place) else None)
            draw_panel(axes, panel, int(13 * size[1]))
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


def plain(text):
    """Text that matplotlib neither takes as a formula for its $, nor leaves out for its first _."""
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
    file, metadata = io.BytesIO(), dict.fromkeys(DATES_AND_VERSIONS[image_format])
    with style():
        figure.savefig(file, format=image_format, dpi=dpi, metadata=metadata)
    return file.getvalue()


def save(figure, path, image_format, dpi):
    """Writes the figure. Raises OSError if `path` cannot be written."""
    with output_file(path, "wb") as file:
        file.write(image(figure, image_format, dpi))


def show_inline(figure):
    from IPython.display import Image, display

    display(Image(data=image(figure, "png", dpi=100)))


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


def shades(color, count):
    """`count` shades of a colour '#rrggbb', from the colour itself to lighter ones."""
    channels = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    shares = np.linspace(0, 0.7, count).tolist()
    return ["#" + "".join(f"{round(c + s * (255 - c)):02X}" for c in channels) for s in shares]


def spans_decade(values):
    """Whether a logarithmic axis fits: all are above 0, the largest LOG_SPAN times the smallest."""
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() >= LOG_SPAN * values.min())


def draw_panel(axes, panel, label_characters):
    """label_characters: how many of them the y axis has room for, beside each other."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = shown_values(panel)
    percent = panel.percent or panel.scale == "accuracy"
    factor = 100 if percent else 1
    numbers = FuncFormatter(lambda value, _: f"{factor * value:g}")
    if panel.scale == "log" and (values > 0).any():
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        # More numbers stand on it where it is short.
        short = values.max() < 200 * values[values > 0].min()
        axes.yaxis.set_minor_formatter(numbers if short else NullFormatter())
    elif panel.scale == "accuracy" and scale_accuracy(axes, values):
        panel = panel._replace(y_label=f"{panel.y_label}, {HALVED}")
    if percent or panel.scale == "log":
        axes.yaxis.set_major_formatter(numbers)
    for line in panel.lines:
        draw_line(axes, line, len(panel.lines))
    if panel.level is not None:
        axes.axhline(panel.level, color=GREY, linewidth=0.8, linestyle="-.", zorder=1.5)
    axes.set_xlabel(plain(panel.x_label))
    label = textwrap.fill(plain(panel.y_label), label_characters, break_on_hyphens=False)
    axes.set_ylabel(label)
    axes.tick_params(labelbottom=bool(panel.x_label))
    axes.update_datalim([(0, limit) for limit in panel.limits], updatex=False)
    axes.margins(x=0.01, y=0.04)
    axes.autoscale_view()
    if len(values) and axes.dataLim.y1 > max(values.max(), panel.level or 0):
        axes.set_ylim(top=1.1 * values.max())
    lines = panel.lines if len(panel.lines) <= MANY_LINES else []
    for line in [line for line in lines if line.raw is not None]:
        look = {"alpha": 0.25 / math.sqrt(len(lines)), "linewidth": 0.5, "zorder": 1.8}
        axes.plot(line.x, line.raw, color=line.color, scaley=False, **look)  # It may stand out.


def shown_values(panel):
    """float64 [n]: what the y axis has to hold. Early values may stand out of it."""
    curves = []
    for line in panel.lines:
        curves += [(line.x, y) for y in (line.y, line.low, line.high) if y is not None]
        curves += [points for points in (line.markers, line.dotted) if points is not None]
    shown = [y[np.isfinite(x) & np.isfinite(y)] for x, y in curves]
    shown = [y for y in shown if len(y)]
    start = min([y[:3].min() for y in shown], default=0)
    rest = max([y[len(y) // 2 :].max() for y in shown], default=0)
    if max(start, rest) > 0:
        shown = [y[y <= STANDS_OUT * max(start, rest)] for y in shown]
    return np.concatenate([np.array(panel.limits), *shown])


def scale_accuracy(axes, values):
    """An axis on which 90 to 99 percent is as long as 99 to 99.9: so the rise from chance and the
    differences at the end are both to be seen; linear where no accuracy is high or none is low.
    Returns whether it is not linear."""
    from matplotlib.ticker import FixedLocator, NullLocator

    def forward(accuracy):
        return -np.log10(np.maximum(1 - np.asarray(accuracy, float), SMALLEST_ERROR))

    fits = bool(len(values) and values.max() > 0.95 and values.min() < 0.8)
    if fits:
        axes.set_yscale("function", functions=(forward, lambda y: 1 - 10.0 ** -np.asarray(y)))
        axes.yaxis.set_major_locator(FixedLocator(ACCURACY_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
    return fits


def draw_line(axes, line, of_lines):
    if line.low is not None:
        look = {"color": line.color, "alpha": 0.3 / math.sqrt(of_lines), "linewidth": 0}
        axes.fill_between(line.x, line.low, line.high, zorder=2.2, **look)
    axes.plot(line.x, line.y, zorder=3, **look_of(line))
    if line.dotted is not None:
        axes.plot(*line.dotted, color=line.color, linestyle=":", linewidth=1.2, zorder=3)
    if line.markers is not None:
        axes.plot(*line.markers, zorder=4, **validation_look(line))


def look_of(line):
    """How plot() draws a line. Its own points are marked only if no others could be taken for them;
    a single point is no line, so it is marked, with a square beside the validation's circles."""
    look = {"color": line.color, "linestyle": (0, (4, 1.5)) if line.dashed else "-"}
    if len(line.x) == 1 or line.markers is None and len(line.x) <= FEW_MARKERS:
        face = "white" if line.dashed else line.color
        look.update(marker="o" if line.markers is None else "s", markerfacecolor=face)
    return look


def validation_look(line):
    """How plot() draws what was measured on the validation set: as points, if they are few."""
    if len(line.markers[0]) > FEW_MARKERS:
        return {"color": line.color, "linewidth": 0.8, "alpha": 0.7}
    face = "white" if line.dashed else line.color
    return {"color": line.color, "linestyle": "", "marker": "o", "markerfacecolor": face}


def legend_entries(panels):
    """[(text, look)]: each look of a line, and in grey what all lines have."""
    lines, looks = sum([list(panel.lines) for panel in panels], []), {}
    for line in lines:
        looks.setdefault((line.color, line.dashed, len(panels) > 1 or line.label), line)
    entries = [(line.label, look_of(line)) for line in looks.values()]
    if any(line.raw is not None for line in lines) and len(lines) <= MANY_LINES * len(panels):
        entries.append(("loss of each batch", {"color": PALE, "linewidth": 0.8}))
    if any(line.low is not None for line in lines):
        entries.append(("mean of n runs, smallest to largest", BAND))
    for line in [line for line in lines if line.markers is not None][:1]:
        entries.append(("validation", validation_look(line._replace(color=GREY, dashed=False))))
    if any(line.dotted is not None for line in lines):
        entries.append(("with population statistics", {"linestyle": ":"}))
    look = {"linestyle": "-.", "linewidth": 0.8}
    levels = sorted({panel.level for panel in panels} - {None})
    return entries + [(f"always answering the class frequencies: {n:.3f}", look) for n in levels]


def handle(text, look):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    half = LABEL_CHARACTERS // 2  # The middle of a text that is too long is left out.
    text = text if len(text) <= LABEL_CHARACTERS else f"{text[: half - 1]}…{text[-half:]}"
    if look is BAND:
        return Patch(color=GREY, alpha=0.3, linewidth=0, label=text)
    return Line2D([], [], label=plain(text), **{"color": GREY, **look})
