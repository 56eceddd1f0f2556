"""Draws the losses of training runs from their event files, without TensorFlow.

    python plot_losses.py                               everything in runs/, into runs/figures/
    python plot_losses.py "runs/fc/adam*" --format pdf  some runs, as vector graphics
    python plot_losses.py --watch                       again whenever a run has written more

One figure for each network: on the left the training loss, smoothed, with the validation loss as
markers; on the right the validation accuracy. With one optimizer, blue is with batch norm and
orange without; with several, each has its colour, and lines without batch norm are dashed. Runs
that differ only in their seed become their mean, with a band from the smallest to the largest.
Runs with --diagnostics also give figures of what they recorded, without and with batch norm.
"""

import argparse
import contextlib
import fnmatch
import functools
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from graph_mode import command_line, output_file

with command_line.loading():
    from graph_mode.plotting import (
        diagnostic_figures,
        diagnostic_lines,
        event_files,
        figures,
        point_files,
        run_lines,
        saved_runs,
    )
    from graph_mode.plotting.run_table import table

FORMATS = ("png", "svg", "pdf")
DEFAULT_RUNS = "runs"
COMPARISONS = os.path.join(DEFAULT_RUNS, "compare")
DEFAULT_TAGS = "loss,*_loss"
WATCH_SECONDS = 2


@command_line.one_line_errors()
def main(arguments=None):
    flags = parse_arguments(arguments)
    flags.show = flags.show and not figures.can_show_inline()
    if flags.show:
        figures.require_window()
    if flags.watch:
        watch(flags)
    found = find_event_files(flags)
    with reading_progress(found) as read:
        runs = saved_runs.read_runs(found, flags.paths or [DEFAULT_RUNS], say, read)
    plot(runs, flags, say)
    if flags.show:
        figures.show()


def parse_arguments(arguments):
    parser = command_line.OneLineParser(description=__doc__)
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="RUNS",
        help="folders, event files or patterns (** for any depth) of runs (default: runs, without "
        "the runs of compare.py in runs/compare)",
    )
    parser.add_argument(
        "--tags",
        type=comma_list,
        help="which scalars to draw and export; patterns, with commas between them (default: "
        f"{DEFAULT_TAGS}, and validation accuracy beside the loss)",
    )
    parser.add_argument(
        "--x",
        choices=("step", "relative", "wall"),
        default="step",
        help="the x axis: steps, time since a run began, or the clock (UTC, each run by itself)",
    )
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--log-y",
        action="store_true",
        default=None,
        help="logarithmic y axis (default: where all smoothed values are above 0 and the largest "
        f"is at least {figures.LOG_SPAN} times the smallest)",
    )
    scale.add_argument(
        "--linear-y", dest="log_y", action="store_false", default=None, help="linear y axis"
    )
    parser.add_argument(
        "--smoothing",
        type=smoothing_weight,
        default=0.95,
        metavar="WEIGHT",
        help="0 (none) to 0.999: how much a neighbouring batch counts, in both directions: 0.95 "
        "averages about 20 on either side, 0.99 about 100; short curves get less",
    )
    parser.add_argument(
        "--group-by",
        type=comma_list,
        metavar="FLAGS",
        help="draw the mean of all runs with the same value of these training flags, with commas "
        "between them: learning_rate, or optimizer,learning_rate. Runs with and without batch norm "
        "are kept apart (default: all flags but the seed)",
    )
    parser.add_argument("--title", help="of the figures of losses (default: what each shows)")
    parser.add_argument(
        "--width",
        type=inches,
        metavar="INCHES",
        help="of the figures of losses, 2 to 20, with smaller text and the legend below: 3.3 for a "
        "column of a paper, 6.5 for a page (default: as wide as needed)",
    )
    parser.add_argument("--dpi", type=dots_per_inch, default=150, help="of PNG files, 20 to 1200")
    parser.add_argument(
        "--format",
        type=format_list,
        default="png",
        help="png, svg or pdf, or several with commas between them",
    )
    parser.add_argument(
        "--output-dir",
        default=os.path.join("runs", "figures"),
        metavar="FOLDER",
        help="where the figures go",
    )
    for name in ("csv", "json"):
        parser.add_argument(
            f"--{name}",
            metavar="FILE",
            help=f"write all points, unsmoothed, as {name.upper()}; - is standard output, and "
            "everything else then goes to standard error",
        )
    repeat = parser.add_mutually_exclusive_group()
    repeat.add_argument(
        "--watch", action="store_true", help="go on, and redraw when a run has written more"
    )
    repeat.add_argument("--show", action="store_true", help="open the figures in windows, too")
    flags = parser.parse_args(arguments)
    if flags.x == "wall" and flags.group_by:
        parser.error("--x wall shows each run by itself: leave out --group-by, or use --x relative")
    if flags.csv and flags.csv == flags.json:
        parser.error(f"--csv and --json name the same file, {flags.csv}")
    return flags


def comma_list(text):
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise argparse.ArgumentTypeError("expected at least one name")
    return items


def format_list(text):
    formats = list(dict.fromkeys(comma_list(text.lower())))
    for name in formats:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"expected {', '.join(FORMATS)}, found {name!r}")
    return formats


def number_between(low, high, kind, text):
    try:
        number = kind(text)
    except ValueError:
        number = None
    # Written so that nan is refused.
    if number is None or not low <= number <= high:
        raise argparse.ArgumentTypeError(f"expected a number from {low} to {high}, found {text!r}")
    return number


smoothing_weight = functools.partial(number_between, 0, 0.999, float)
dots_per_inch = functools.partial(number_between, 20, 1200, int)
inches = functools.partial(number_between, 2, 20, float)


def say(line):
    command_line.say(line)


def find_event_files(flags):
    if flags.paths:
        return saved_runs.find_event_files(flags.paths)
    return saved_runs.find_event_files([DEFAULT_RUNS], left_out=COMPARISONS)


def plot(runs, flags, say):
    """Draws and writes all that the flags ask for, and prints what was written and the table.

    Raises CommandError if there is nothing to draw, and OSError if a file cannot be written.
    """
    wanted = functools.partial(matches_any, flags.tags or comma_list(DEFAULT_TAGS))
    plots = run_lines.plots_of(runs, wanted)
    if not plots:
        raise command_line.CommandError(nothing_to_draw(runs, flags))
    view = run_lines.View(flags.x, flags.smoothing, flags.log_y, flags.group_by)
    drawn = [(plot.file_name, draw(plot, flags, view, say)) for plot in plots]
    for pair in diagnostic_lines.pairs_of(runs):
        for name, _, figure in diagnostic_figures.draw_all(pair):
            drawn.append((run_lines.safe_name(f"{pair.network}_{name}_{pair.label}"), figure))
    written = []
    for name, figure in drawn:
        for image_format in flags.format:
            path = os.path.join(flags.output_dir, f"{name}.{image_format}")
            figures.save(figure, path, image_format, flags.dpi)
            written.append(path)
    stream = sys.stdout
    for path, write in ((flags.csv, point_files.write_csv), (flags.json, point_files.write_json)):
        if path:
            if output_file.is_standard_output(path):
                stream = sys.stderr
            write(point_files.points(runs, wanted), path)
            written.append(path)
    text = [f"wrote {command_line.printable(path)}" for path in written if path != "-"]
    show_text("\n".join(text + [table(plots)]), stream)
    if figures.can_show_inline():
        for _, figure in drawn:
            figures.show_inline(figure)


def draw(plot, flags, view, say):
    """The figure of a Plot; validation accuracy stands beside the loss unless --tags are given."""
    panels = run_lines.panels_of(plot, view, say, flags.tags is None and plot.tag.endswith("loss"))
    title = run_lines.title_of(plot) if flags.width is None else ""
    return figures.draw(panels, flags.title or title, flags.width, flags.show)


def show_text(text, stream):
    print(command_line.printable(text, stream, keep="\n"), file=stream, flush=True)


def matches_any(patterns, tag):
    return any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)


def nothing_to_draw(runs, flags):
    paths = " ".join(flags.paths) or DEFAULT_RUNS
    tags = ",".join(flags.tags) if flags.tags else DEFAULT_TAGS
    if not runs:
        return (
            f"found no event files in {paths}; expected what a training run writes: train first "
            "(python fc_train.py), or name the folder of your runs"
        )
    found = {tag for run in runs for scalars in run.scalars.values() for tag in scalars}
    if not found:
        return f"found no scalars in the event files of {paths}; expected tags like {tags}"
    names = ", ".join(sorted(found)[:20])
    return f"found no training scalar {tags} in {paths}; name one of these with --tags: {names}"


@contextlib.contextmanager
def reading_progress(found):
    """A context that gives read_event_file, with a progress bar if a person looks on."""
    if not sys.stderr.isatty():
        yield event_files.read_event_file
        return
    from tqdm import tqdm

    files = sum(len(files) for splits in found.values() for files in splits.values())
    with tqdm(total=files, desc="reading", unit=" files", leave=False) as bar:

        def read(path):
            bar.update()
            return event_files.read_event_file(path)

        yield read


def watch(flags):
    """Draws whenever a file of the runs has changed, until it is interrupted."""
    states = None
    said = set()

    def say_once(line):
        if line not in said:
            said.add(line)
            say(line)

    while True:
        found = find_event_files(flags)
        before, states = states, saved_runs.file_states(found)
        if states != before:
            runs = saved_runs.read_runs(found, flags.paths or [DEFAULT_RUNS], say_once)
            try:
                plot(runs, flags, say_once)
            except command_line.CommandError as error:
                say_once(f"{error}; waiting")
        time.sleep(WATCH_SECONDS)


if __name__ == "__main__":
    command_line.run(main)
