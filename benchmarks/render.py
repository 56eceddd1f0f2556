"""docs/benchmarks.md and its figure, from the stored measurements."""

import claims
import growth_figure
import limits
import results
import steps
import tables
import time_to_accuracy
from environments import PROJECT
from processes import CONTESTANTS

PAGE = PROJECT / "docs" / "benchmarks.md"
TRIED = PROJECT / "benchmarks" / "tried.md"
PROFILE_ROWS = 12
HEAD = """# Benchmarks

How this collection compares with what a user would pick instead. Made by

    make benchmark

which gives each peer a virtual environment of its own with the real released packages
(`.venv-benchmark-<peer>/`), measures, and writes this page. One part alone, and the page again:
`.venv/bin/python benchmarks/run.py steps render` (`--help` lists the parts). The raw measurements
are in [benchmarks/results/](../benchmarks/results/), the measured programs in
[benchmarks/peers/](../benchmarks/peers/).

All programs train the same networks on MNIST: batch 128, Adam at 0.002, Glorot uniform kernels,
hidden layers without bias, batch norm with momentum 0.99 and epsilon 0.001, mean sigmoid
cross-entropy. Programs run one at a time as processes of their own, in turn (A B A B), with their
own default number of threads. A figure is a median, with the lowest and the highest in brackets;
n is the number of processes. "× ours" is a ratio of medians, of a program's figure to that of
this project on TensorFlow 2.21: above 1, this project needs less.
"""


def write_page():
    """Writes the page from what is stored; a part that was never measured says so."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    sections = [HEAD]
    for title, part, section in (
        ("What was aimed for", "steps", claims_section),
        ("A training step", "steps", steps_section),
        ("A whole process", "whole", whole_section),
        ("Time to a test accuracy", "time_to_accuracy", accuracy_section),
        ("Loading MNIST", "readers", loading_section),
        ("Reading event files", "readers", events_section),
        ("Growth", "growth", growth_section),
        ("What limits a step", "limits", limits_section),
    ):
        stored = results.load(part)
        body = section(stored) if stored else "Not measured yet.\n"
        sections.append(f"## {title}\n\n{body}")
    sections.append(f"## Tried, and not kept\n\n{TRIED.read_text()}")
    PAGE.write_text("\n".join(sections).replace(". \n", ".\n"))


def claims_section(_):
    rows = []
    for claim, target, ratio, met in claims.compute():
        verdict = "not measured" if met is None else "met" if met else "**missed**"
        rows.append([claim, target, tables.number(ratio) if ratio else "-", verdict])
    return "Ratios of medians, computed from the tables below.\n\n" + tables.table(
        ["what", "target", "measured", ""], rows
    )


def steps_section(stored):
    measurements = stored["measurements"]
    columns = [
        (label, tables.column(measurements, label, steps.step_times))
        for label, _, _ in steps.NETWORKS
    ]
    remark = (
        "A process's figure is the median of its windows of 100 (fc) or 25 (conv; this "
        "project 100) steps; the first window, with compilation, is left out. "
        "This project and the published program write the loss of every step meanwhile; "
        "the others do not."
    )
    return (
        f"Milliseconds a step, evaluation not counted; {tables.processes_label(measurements)}.\n\n"
        + tables.contestant_table(columns)
        + tables.measured_on(stored, remark)
        + tables.versions(measurements)
    )


def whole_section(stored):
    def values(key):
        return lambda found: [m[key] for m in found]

    def test_errors(found):
        return [100 * m["accuracies"]["test"] for m in found]

    text = (
        "Seconds from the start of the interpreter to its end, 3,000 steps with batch norm: "
        "importing, loading, compiling, training, the loss of every step as event files, "
        "validation every 500 steps, validation and test at the end. Start-up is the time to the "
        "end of the first training step. Memory is the peak resident set.\n"
    )
    for label in dict.fromkeys(m["label"] for m in stored["whole"]):
        runs, first_steps = stored["whole"], stored["startup"]
        columns = [
            ("whole process, s", tables.column(runs, label, values("process_seconds"))),
            ("start-up, s", tables.column(first_steps, label, values("startup_seconds"))),
            ("peak memory, MiB", tables.column(runs, label, values("peak_megabytes"))),
            ("test accuracy, %", tables.column(runs, label, test_errors)),
        ]
        chosen = [m for m in runs if m["label"] == label]
        text += f"\n**{label}** ({tables.processes_label(chosen)}; start-up: "
        text += f"{tables.processes_label([m for m in first_steps if m['label'] == label])})\n\n"
        text += tables.contestant_table(columns)
    return text + tables.measured_on(
        stored, "Keras trains 7 epochs cut off at 3,000 steps and validates after each."
    )


def accuracy_section(stored):
    measurements = stored["measurements"]
    text = ""
    for label, _, target, most in time_to_accuracy.TARGETS:
        chosen = [m for m in measurements if m["label"] == label and "error" not in m]
        if not chosen:
            continue
        rows = []
        for contestant in CONTESTANTS:
            runs = [m for m in chosen if m["contestant"] == contestant]
            done = [m for m in runs if time_to_accuracy.reached(m)]
            if not runs:
                continue
            seconds = [m["training_seconds"] for m in done]
            reached_steps = [m["steps"] for m in done]
            mean = (
                f"{tables.number(sum(seconds) / len(done))} ({tables.number(min(seconds))}-"
                f"{tables.number(max(seconds))})"
                if done
                else "-"
            )
            steps_mean = f"{sum(reached_steps) / len(done):,.0f}" if done else "-"
            rows.append([contestant, mean, steps_mean, f"{len(done)} of {len(runs)}"])
        text += f"\n**{label}: {100 * target:g} %**, given up after {most:,} steps\n\n"
        text += tables.table(
            ["program", "mean seconds (low-high)", "mean steps", "seeds that came there"], rows
        )
    return (
        "Seconds of training, with compilation, until the test accuracy, looked at every 100 "
        "steps, is reached for the first time; looking is not counted. Importing and loading "
        "are not either: add the start-up above. Means are over the seeds that came there.\n"
        + text
        + tables.measured_on(stored)
    )


def loading_section(stored):
    text = (
        "Seconds to read the four files into arrays, and with the import of the reader before, in "
        "a fresh process; × is against the first row. This project checks every header and size; "
        f"{tables.processes_label(stored['loading'])}.\n\n"
    )
    return (
        text
        + tables.plain_table(
            stored["loading"],
            [
                ("reading, s", lambda found: [m["read_seconds"] for m in found], True),
                (
                    "import and reading, s",
                    lambda found: [m["import_seconds"] + m["read_seconds"] for m in found],
                    True,
                ),
                ("peak memory, MiB", lambda found: [m["peak_megabytes"] for m in found], False),
            ],
        )
        + tables.measured_on(stored)
    )


def events_section(stored):
    events = [dict(m) for m in stored["events"]]
    count = next(m["events"] for m in events if "error" not in m)
    text = (
        f"One file of {count:,} scalar events, in a fresh process; × is against the first row; "
        f"{tables.processes_label(events)}.\n\n"
    )
    return (
        text
        + tables.plain_table(
            events,
            [
                ("reading, s", lambda found: [m["read_seconds"] for m in found], True),
                (
                    "events a second",
                    lambda found: [m["events"] / m["read_seconds"] for m in found],
                    False,
                ),
                (
                    "import and reading, s",
                    lambda found: [m["import_seconds"] + m["read_seconds"] for m in found],
                    True,
                ),
                ("peak memory, MiB", lambda found: [m["peak_megabytes"] for m in found], False),
            ],
        )
        + tables.measured_on(stored)
    )


def growth_section(stored):
    growth_figure.draw(stored["measurements"], PAGE.parent)
    return (
        "![Time against batch size, layers and training images](benchmarks_growth.png)\n\n"
        "With batch norm; a point is the median window of one process. Batch size: milliseconds "
        "for 1,000 images. Layers: hidden layers of fc, convolutions of conv. Training images: "
        "MNIST's digits, shifted and with noise, up to 1,000,000.\n" + tables.measured_on(stored)
    )


def limits_section(stored):
    speed = stored["speed"]
    copies = speed["copy_gigabytes"]
    text = (
        "Counted from the shapes: floating-point operations of the matrix products and "
        "convolutions, forward and backward, and the bytes that every operation must at least "
        f"read and write. Measured here with the kernels of TensorFlow "
        f"{speed['versions']['tensorflow']}: {speed['matmul_gigaflops']:.0f} GFLOP/s "
        "multiplying matrices of 2048 x 2048; "
        f"{copies['cached']:.0f} GB/s read and written within the caches, "
        f"{copies['memory']:.0f} GB/s beyond them. The floor gives every operation the longer of "
        "its two times, within the caches. The five convolutions alone, each timed by itself with "
        f"both gradients, take {' + '.join(map(str, speed['convolution_ms']))} = "
        f"{sum(speed['convolution_ms']):.1f} ms.\n\n"
    )
    measured = column_of_ours()
    rows = []
    for label in stored["profiles"]:
        network, batch_norm = label.split(",")[0], "batch norm" in label
        floor = limits.floor_milliseconds(network, batch_norm, speed)
        largest = sorted(floor["groups"].items(), key=lambda item: -item[1])
        shares = ", ".join(f"{name} {ms:.2f}" for name, ms in largest)
        step = measured.get(label)
        rows.append(
            [
                label,
                f"{floor['parameters']:,}",
                f"{floor['megaflops']:,.0f}",
                f"{floor['megabytes']:.1f}",
                f"{floor['floor_ms']:.2f} ({shares})",
                tables.number(step) if step else "-",
                f"{step / floor['floor_ms']:.1f}" if step else "-",
            ]
        )
    text += tables.table(
        [
            "network",
            "parameters",
            "MFLOP",
            "MB",
            "floor, ms (of which)",
            "measured, ms",
            "measured / floor",
        ],
        rows,
    )
    for label, profile in stored["profiles"].items():
        text += f"\n**{label}**: ops of one traced step, milliseconds summed over both cores "
        text += f"(traced step {profile['wall_ms']:.2f} ms)\n\n"
        total = sum(ms for _, ms, _ in profile["ops"])
        rows = [
            [op, f"{ms:.3f}", f"{100 * ms / total:.0f} %", f"{count:g}"]
            for op, ms, count in profile["ops"][:PROFILE_ROWS]
        ]
        text += tables.table(["op", "ms a step", "share", "times a step"], rows)
    return text + tables.measured_on(stored)


def column_of_ours():
    """{label: ms a step of this project}, from the steps part."""
    stored = results.load("steps") or {"measurements": []}
    spreads = tables.grouped(stored["measurements"], steps.step_times)
    return {label: s["median"] for (label, name), s in spreads.items() if name == claims.OURS and s}
