"""Draws curves with matplotlib and writes them as files: the same input, the same bytes.

Nothing here knows what a run is: it draws Lines. matplotlib is imported only to draw something.
"""

import collections
import contextlib
import datetime
import functools
import io
import math
import os
import textwrap

import numpy as np

from graph_mode import machine
from graph_mode.command_line import CommandError
from graph_mode.output_file import output_file
from graph_mode.plotting.figure_text import fonts_for, plain

# Okabe and Ito's colours, which colour-blind people can tell apart; grey in place of their yellow,
# which is too pale for a line on white.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, BLACK, GREY)
BATCH_NORM_COLORS = {False: VERMILION, True: BLUE}

Line = collections.namedtuple("Line", "label color dashed x y raw low high markers dotted")
Line.__new__.__defaults__ = (None,) * 5
Line.__doc__ = """One curve. dashed: without batch norm, where the colour does not tell; x and y
float64 [n]; raw float64 [n], drawn lightly under it, or None; low and high float64 [n], the edges
of a band, or None; markers (x, y), the same measured on the validation set, or None; dotted (x, y),
the same with population statistics, or None. Where a value is nan, the curve has a gap."""

Panel = collections.namedtuple("Panel", "lines x_label y_label scale dates reference samples")
Panel.__new__.__defaults__ = ("linear", False, None, "seeds")
Panel.__doc__ = """The axes of a figure. lines: [Line]; scale: of y, "linear", "log", or "accuracy"
for fractions of right answers; dates: whether x is in days since 1970 (UTC) and shown as dates;
reference: the loss of answering the class frequencies, or None; samples: what bands are of."""

PANEL_INCHES, ONE_PANEL_INCHES = (4.4, 3.6), (7.0, 4.6)
MARGIN_INCHES, GAP_INCHES = 0.15, 0.15
# Below this width panels stand below each other, not side by side.
NARROW_INCHES = 5
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
NO_WINDOWS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def draw(panels, title="", width=None, window=False):
    """A Figure of the Panels side by side, with a legend beside them.

    With a width in inches, as of a column of a paper, the figure is that wide, with smaller text
    and the legend below. window: whether matplotlib.pyplot shall know of the figure, to show it.
    """
    with style(width) as matplotlib:
        shorten = functools.partial(
            shortened, LABEL_CHARACTERS if width is None else int(14 * width)
        )
        panels = [
            panel._replace(lines=[line._replace(label=shorten(line.label)) for line in panel.lines])
            for panel in panels
        ]
        labels = [line.label for panel in panels for line in panel.lines]
        axis_labels = [label for panel in panels for label in (panel.x_label, panel.y_label)]
        matplotlib.rcParams["font.family"], missing = fonts_for([title] + axis_labels + labels)
        figure = new_figure(window)
        all_axes = [figure.add_axes([0, 0, 1, 1], label=str(i)) for i in range(len(panels))]
        # A label on the y axis is as long as the axis, which gets higher as it gets wider.
        label_characters = 1000 if width is None else int(8 * width / columns(panels, width))
        small = width is not None or max(len(panel.lines) for panel in panels) > MANY_LINES
        for axes, panel in zip(all_axes, panels):
            draw_panel(axes, panel, missing, label_characters, small)
        heading = figure.text(0, 0, plain(title, missing), fontsize=12 if width is None else 9)
        fit(figure, all_axes, heading, legend_handles(panels, missing), width)
    return figure


@contextlib.contextmanager
def style(width=None):
    """matplotlib with the settings of this project, whatever matplotlibrc and MPLBACKEND say."""
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    with matplotlib.rc_context():
        # Somebody's matplotlibrc would make other bytes of the same input.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        if width is not None:
            matplotlib.rcParams.update({"font.size": 8, "legend.fontsize": 7})
        yield matplotlib


def new_figure(window=False, **kwargs):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if window:
        from matplotlib import pyplot

        return pyplot.figure(**kwargs)
    figure = Figure(**kwargs)
    FigureCanvasAgg(figure)
    return figure


def image(figure, image_format, dpi):
    """The figure as bytes, without dates or versions: the same figure, the same bytes."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format=image_format, dpi=dpi, metadata=NO_METADATA[image_format])
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
        backend = pyplot.get_backend()
        problem = (
            f"matplotlib's backend {backend} has none" if backend.lower() in NO_WINDOWS else ""
        )
    except (ImportError, ValueError, RuntimeError) as error:
        problem = str(error).split(";")[0]
    if problem:
        raise CommandError(
            f"--show needs a window: {problem}; leave out --show: the figures are files too"
        )


def show():
    """Opens the figures that draw() made with window=True, until a person has closed them."""
    from matplotlib import pyplot

    pyplot.show()


def can_show_inline():
    """Whether a notebook runs this process."""
    return machine.ipython() == "kernel"


def show_inline(figure):
    """Shows the figure in the notebook that runs this process."""
    from IPython.display import Image, display

    display(Image(data=image(figure, "png", dpi=100)))


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


def spans_decade(values):
    """Whether a logarithmic axis fits: all are above 0, the largest LOG_SPAN times the smallest."""
    values = values[np.isfinite(values)]
    return bool(len(values) and values.min() > 0 and values.max() >= LOG_SPAN * values.min())


def draw_panel(axes, panel, missing, label_characters, small):
    scale = panel.scale
    values = shown_values(panel)
    if scale == "log" and (values > 0).any():
        values = values[values > 0]
        scale_log(axes, values)
    elif scale == "accuracy":
        scale_accuracy(axes, values)
    if panel.dates:
        show_dates(axes)
    for line in panel.lines:
        draw_line(axes, line, len(panel.lines), missing, small)
    if panel.reference is not None:
        axes.axhline(panel.reference, color=GREY, linewidth=0.8, linestyle="-.", zorder=1.5)
    axes.set_xlabel(plain(panel.x_label, missing))
    axes.set_ylabel("\n".join(textwrap.wrap(plain(panel.y_label, missing), label_characters)))
    axes.margins(x=0.01)
    if len(values):
        set_limits(axes, values.min(), values.max())


def shown_values(panel):
    """float64 [n]: what the y axis has to hold. Single batches before smoothing may stand out."""
    curves = [] if panel.reference is None else [(np.zeros(1), np.array([panel.reference]))]
    for line in panel.lines:
        curves += [(line.x, y) for y in (line.y, line.low, line.high) if y is not None]
        curves += [points for points in (line.markers, line.dotted) if points is not None]
    return np.concatenate([y[np.isfinite(x) & np.isfinite(y)] for x, y in curves])


def set_limits(axes, low, high):
    """Lets the y axis reach a little beyond the values, on whatever scale it has."""
    transform = axes.yaxis.get_transform()
    ends = transform.transform(np.array([low, high], float))
    # Where all values are one, matplotlib's own margin is right.
    if np.isfinite(ends).all() and ends[1] - ends[0] > 1e-12 * abs(ends).max():
        edges = ends + 0.04 * (ends[1] - ends[0]) * np.array([-1, 1])
        axes.set_ylim(*transform.inverted().transform(edges))


def scale_log(axes, values):
    """A logarithmic axis with plain numbers on it, and more of them where it is short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log", nonpositive="mask")
    plain_numbers = FuncFormatter(lambda value, _: f"{value:g}")
    short = len(values) and values.max() < 200 * values.min()
    axes.yaxis.set_major_formatter(plain_numbers)
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
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


def draw_line(axes, line, of_lines, missing, small):
    """Draws a line with what belongs to it."""
    if line.raw is not None and of_lines <= MANY_LINES:
        shown = extremes(line.raw, line.raw)
        faded = {"color": line.color, "alpha": 0.25 / math.sqrt(of_lines), "linewidth": 0.5}
        axes.plot(line.x[shown], line.raw[shown], zorder=1.8, **faded)
    if line.low is not None:
        shown = extremes(line.low, line.high)
        edges = line.x[shown], line.low[shown], line.high[shown]
        alpha = 0.3 / math.sqrt(of_lines)
        axes.fill_between(*edges, color=line.color, alpha=alpha, linewidth=0, zorder=2.2)
    shown = extremes(line.y, line.y)
    look = {**look_of(line, missing, small), "linewidth": 1.0 if small else 1.5}
    axes.plot(line.x[shown], line.y[shown], zorder=3, **look)
    if line.dotted is not None:
        axes.plot(*line.dotted, color=line.color, linestyle=":", linewidth=1.2, zorder=3)
    if line.markers is not None:
        thin = len(line.markers[0]) > FEW_MARKERS
        how = {"linewidth": 0.8, "alpha": 0.7} if thin else {"linestyle": ""}
        look = markers_of(line, len(line.markers[0]), small)
        axes.plot(*line.markers, color=line.color, zorder=4, **how, **look)


def look_of(line, missing, small=False):
    """How plot() draws a line and names it in the legend.

    Its own points are marked only if no others could be taken for them. A single point is no line,
    so it is marked, with a square beside the circles of the validation.
    """
    style = (0, (4, 1.5)) if line.dashed else "-"
    look = {"color": line.color, "label": plain(line.label, missing), "linestyle": style}
    if line.markers is None:
        look.update(markers_of(line, len(line.x), small))
    elif len(line.x) == 1:
        look.update(markers_of(line, 1, small), marker="s")
    return look


def markers_of(line, count, small=False):
    """How plot() marks the points of a line that has few: open where it is dashed."""
    face = "white" if line.dashed else line.color
    return {"marker": marker(count), "markersize": 2.5 if small else 3.5, "markerfacecolor": face}


def marker(count):
    """The marker of each point of a line that has so many: none if they are many."""
    return "o" if count <= FEW_MARKERS else ""


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


def legend_handles(panels, missing):
    """An entry for each look of a line, and in grey what all lines have."""
    from matplotlib.lines import Line2D

    lines = [line for panel in panels for line in panel.lines]
    looks = {}
    for line in lines:
        looks.setdefault((line.color, line.dashed, len(panels) > 1 or line.label), line)
    handles = [Line2D([], [], **look_of(line, missing)) for line in looks.values()]
    if any(line.raw is not None for line in lines) and len(lines) <= MANY_LINES * len(panels):
        handles.append(note_handle("single batches", color=mixed(GREY, 0.5), linewidth=0.8))
    for samples in sorted({p.samples for p in panels if any(li.low is not None for li in p.lines)}):
        handles.append(band_handle(f"mean of n {samples}, smallest to largest"))
    handles += validation_handles(lines)
    if any(line.dotted is not None for line in lines):
        handles.append(note_handle("with population statistics", linestyle=":"))
    for value in sorted({panel.reference for panel in panels} - {None}):
        text = f"answering the class frequencies: {value:.3f}"
        handles.append(note_handle(text, linestyle="-.", linewidth=0.8))
    return handles


def validation_handles(lines):
    """What markers beside a curve mean; filled and open ones apart where there are both."""
    marked = [line for line in lines if line.markers is not None]
    few = [line for line in marked if len(line.markers[0]) <= FEW_MARKERS]
    handles = [note_handle("validation", linewidth=0.8)] if len(few) < len(marked) else []
    both = len({line.dashed for line in few}) > 1
    for dashed in sorted({line.dashed for line in few}):
        side = (", without batch norm" if dashed else ", with batch norm") if both else ""
        look = {"marker": "o", "markerfacecolor": "white" if dashed else GREY}
        handles.append(note_handle(f"validation{side}", linestyle="", markersize=3.5, **look))
    return handles


def note_handle(text, **look):
    """A legend entry in grey that explains what all lines have."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=text, **{"color": GREY, **look})


def band_handle(text):
    from matplotlib.patches import Patch

    return Patch(color=GREY, alpha=0.3, linewidth=0, label=text)


def columns(panels, width):
    """How many panels stand side by side."""
    return 1 if width is not None and width < NARROW_INCHES else len(panels)


def fit(figure, all_axes, heading, handles, width):
    """Places axes, heading and legend, and gives the figure the size that they need.

    The axes have a fixed size and the legend stands beside them; where the width is given, the axes
    take what is left of it and the legend stands below.
    """
    across = columns(all_axes, width)
    size, margins = axes_size(figure, all_axes, across, width)
    left, bottom, right, top = margins
    cell = left + size[0] + right + GAP_INCHES, bottom + size[1] + top + GAP_INCHES
    panels = across * cell[0] - GAP_INCHES, -(-len(all_axes) // across) * cell[1] - GAP_INCHES
    legend, extent = legend_within(figure, handles, width)
    title = extent_of(figure, heading)
    above = MARGIN_INCHES + (title[1] + 0.1 if heading.get_text().strip() else 0)
    if width is None:
        total_width = 2 * MARGIN_INCHES + max(panels[0] + 0.2 + extent[0], title[0])
        total_height = above + max(panels[1], top + extent[1]) + MARGIN_INCHES
        corner = (MARGIN_INCHES + panels[0] + 0.2, total_height - above - top)
    else:
        total_width, total_height = width, above + panels[1] + 0.1 + extent[1] + MARGIN_INCHES
        corner = (MARGIN_INCHES, MARGIN_INCHES + extent[1])
    total = np.array([total_width, total_height])
    figure.set_size_inches(total)
    for number, axes in enumerate(all_axes):
        row, column = divmod(number, across)
        x = MARGIN_INCHES + left + column * cell[0]
        y = total_height - above - top - size[1] - row * cell[1]
        axes.set_position(np.concatenate([[x, y] / total, size / total]))
    heading.set_position([MARGIN_INCHES + left, total_height - above + 0.1] / total)
    legend.set_bbox_to_anchor(corner / total, figure.transFigure)


def axes_size(figure, all_axes, across, width):
    """The inches (width, height) of each axes and (left, bottom, right, top) around it."""
    size = np.array(ONE_PANEL_INCHES if len(all_axes) == 1 else PANEL_INCHES)
    for _ in range(2):  # The labels on an axis depend on its size, and its margins on them.
        figure.set_size_inches(20, 20)
        for axes in all_axes:
            axes.set_position([0.2, 0.2, size[0] / 20, size[1] / 20])
        margins = margins_of(figure, all_axes)
        if width is not None:
            room = (width - 2 * MARGIN_INCHES - (across - 1) * GAP_INCHES) / across
            size = max(room - margins[0] - margins[2], 1.0) * np.array([1, 0.72])
    return size, margins


def margins_of(figure, all_axes):
    """The inches (left, bottom, right, top) that the labels of the axes need at most."""
    renderer = figure.canvas.get_renderer()
    pairs = [(a.get_window_extent(renderer), a.get_tightbbox(renderer)) for a in all_axes]
    pixels = [(i.x0 - o.x0, i.y0 - o.y0, o.x1 - i.x1, o.y1 - i.y1) for i, o in pairs]
    return [max(0.0, *side) / figure.dpi for side in zip(*pixels, [0.0] * 4)]


def legend_within(figure, handles, width):
    """The legend and its size in inches, in as many columns as fit into the width."""
    ncol = math.ceil(len(handles) / LEGEND_ROWS) if width is None else 3
    while True:
        legend = figure.legend(
            handles=handles,
            loc="upper left",
            borderaxespad=0,
            borderpad=0,
            frameon=False,
            fontsize=9 if width is None else 7,
            ncol=ncol,
        )
        extent = extent_of(figure, legend)
        if width is None or ncol == 1 or extent[0] <= 0.95 * width - 2 * MARGIN_INCHES:
            return legend, extent
        legend.remove()
        ncol -= 1


def extent_of(figure, artist):
    box = artist.get_window_extent(figure.canvas.get_renderer())
    return box.width / figure.dpi, box.height / figure.dpi


def shortened(characters, text):
    """The text, with its middle left out if it is too long for a legend."""
    half = (characters - 1) // 2
    return text if len(text) <= characters else f"{text[:half]}…{text[-half:]}"
