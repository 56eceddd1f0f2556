"""Draws the losses of training runs from their event files, without TensorFlow.

    python plot_losses.py                               everything in runs/, into runs/figures/
    python plot_losses.py "runs/fc/adam*" --format pdf  some runs, as vector graphics

One figure for each network: on the left the training loss, smoothed, with the validation loss as
markers; on the right the validation accuracy. With one optimizer, blue is with batch norm and
orange without; with several, each has its colour, and lines without batch norm are dashed. Runs
that differ only in their seed become their mean, with a band from the smallest to the largest.
Runs with --diagnostics also give figures of what they recorded, without and with batch norm.
"""

import argparse
import contextlib
import fnmatch
import itertools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from graph_mode import command_line, machine, names, output_file

with command_line.loading():
    from graph_mode.plotting import figures, run_lines, run_table
    from graph_mode.plotting.diagnostics import draw_all, pairs_of
    from graph_mode.runs import recorded

DEFAULT_RUNS, DEFAULT_TAGS = "runs", "loss,*_loss"
FORMATS, DPI = ("png", "svg", "pdf"), 150


@command_line.one_line_errors()
def main(arguments=None):
    flags = parse_arguments(arguments)
    flags.show = flags.show and machine.ipython() != "kernel"
    if flags.show:
        figures.require_window()
    paths, say = flags.paths or [DEFAULT_RUNS], command_line.say
    left_out = None if flags.paths else os.path.join(DEFAULT_RUNS, "compare")
    found = recorded.find_event_files(paths, say, left_out)
    plot(recorded.read_runs(found, paths, say), flags)
    if flags.show:
        from matplotlib import pyplot

        pyplot.show()


def parse_arguments(arguments):
    parser = command_line.OneLineParser(description=__doc__)
    add, add_scale = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    # fmt: off
    add("paths", nargs="*", metavar="RUNS", help="folders, event files or patterns (** for any "
        "depth) of runs (default: runs, without the runs of compare.py in runs/compare)")
    add("--tags", type=tag_patterns, help="which scalars to draw and export; patterns, with commas "
        f"between them (default: {DEFAULT_TAGS}, and validation accuracy beside the loss)")
    add("--x", choices=("step", "relative"), default="step", help="the x axis: steps, or time "
        "since a run began")
    add_scale("--log-y", action="store_true", default=None, help="logarithmic y axis (default: if "
              f"all smoothed values are above 0 and the largest is {figures.LOG_SPAN} times the "
              "smallest, or more)")
    add_scale("--linear-y", dest="log_y", action="store_false", default=None, help="linear y axis")
    add("--smoothing", type=smoothing, default=0.95, metavar="WEIGHT", help="0 (none) to 0.999: "
        "0.95 averages about 20 batches on either side, 0.99 about 100; short curves get less")
    add("--group-by", type=comma_list, metavar="FLAGS", help="draw the mean of all runs with the "
        "same value of these training flags, such as optimizer,learning_rate; batch norm is kept "
        "apart (default: all flags but the seed)")
    add("--title", help="title of the loss figures (default: what each one shows)")
    add("--format", type=format_list, default="png", help="png, svg, pdf or several, as png,svg")
    add("--output-dir", default=os.path.join(DEFAULT_RUNS, "figures"), metavar="FOLDER",
        help="where the figures go")
    add("--csv", metavar="FILE", help="write all points, unsmoothed, as CSV; - is standard output, "
        "and everything else then goes to standard error")
    add("--show", action="store_true", help="open the figures in windows, too")
    # fmt: on
    return parser.parse_args(arguments)


def comma_list(text):
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise argparse.ArgumentTypeError("expected at least one name")
    return items


def tag_patterns(text):
    """The patterns between commas, and what several of them are together: a tag may hold commas."""
    comma_list(text)
    # Event files hold UTF-8, whatever the locale says of what a person types.
    parts = os.fsencode(text).decode("utf-8", "surrogateescape").split(",")
    spans = itertools.combinations(range(len(parts) + 1), 2)
    return [",".join(parts[start:end]).strip() for start, end in spans]


def format_list(text):
    unknown = sorted(set(comma_list(text.lower())) - set(FORMATS))
    if unknown:
        raise argparse.ArgumentTypeError(f"expected {', '.join(FORMATS)}, found {unknown[0]!r}")
    return list(dict.fromkeys(comma_list(text.lower())))


def smoothing(text):
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 0.999:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number from 0 to 0.999, found {text!r}")


def plot(runs, flags):
    """Draws and writes all that the flags ask for, and prints what was written and the table."""
    patterns = flags.tags or tag_patterns(DEFAULT_TAGS)

    def wanted(tag):
        tag = tag.strip()
        return any(tag == each or fnmatch.fnmatchcase(tag, each) for each in patterns)

    plots = run_lines.plots_of(runs, wanted)
    if not plots:
        raise command_line.CommandError(nothing_to_draw(runs, flags))
    known = sorted({name for run in runs for name in run.flags})
    unknown = [name for name in flags.group_by or () if name not in known]
    if unknown:
        words = f"no run recorded {', '.join(unknown)}; recorded are: {', '.join(known) or 'none'}"
        raise command_line.CommandError(f"--group-by: {words}")
    drawn = [(each.file_name, draw(each, flags)) for each in plots]
    for pair in pairs_of(runs):
        label = pair.label.replace(",", " ")
        for name, _, figure in draw_all(pair):
            drawn.append((names.safe(f"{pair.network}_{name}_{label}"), figure))
    written, stream = [], sys.stdout
    for name, figure in drawn:
        for image_format in flags.format:
            written.append(os.path.join(flags.output_dir, f"{name}.{image_format}"))
            figures.save(figure, written[-1], image_format, DPI)
        if machine.ipython() == "kernel":
            figures.show_inline(figure)
    if flags.csv:
        if output_file.is_standard_output(flags.csv):
            stream = sys.stderr
        run_table.write_csv(runs, wanted, flags.csv)
        written += [flags.csv] * (flags.csv != output_file.STANDARD_OUTPUT)
    text = "\n".join([f"wrote {path}" for path in written] + [run_table.table(plots)])
    print(command_line.printable(text, stream, keep="\n"), file=stream, flush=True)


def draw(plot, flags):
    with_accuracy = flags.tags is None and plot.tag.endswith("loss")
    look = {"x": flags.x, "smoothing": flags.smoothing, "log_y": flags.log_y}
    look.update(with_accuracy=with_accuracy, group_by=flags.group_by)
    rows = run_lines.rows_of(plot, command_line.say, **look)
    return figures.draw(rows, flags.title or run_lines.title_of(plot), flags.show)


def nothing_to_draw(runs, flags):
    paths = " ".join(flags.paths) or DEFAULT_RUNS
    found = {tag for run in runs for scalars in run.scalars.values() for tag in scalars}
    if found:
        # The longest pattern is all that was typed.
        tags, known = max(flags.tags or [DEFAULT_TAGS], key=len), ", ".join(sorted(found)[:20])
        return f"found no scalar {tags} in {paths}; name one of these with --tags: {known}"
    return (
        f"found no {'scalars in the ' * bool(runs)}event files in {paths}; expected what a run "
        "writes: train first (python fc_train.py), or name the folder of your runs"
    )


if __name__ == "__main__":
    command_line.run(main)
