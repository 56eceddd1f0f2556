"""The growth curves as one figure of six panels."""

import statistics

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

# (title, network, what grows, axis label, value of a measurement, its label)
PANELS = [
    ("fc", "batch_size", "batch size", "images", "ms for 1,000 images"),
    ("fc", "layers", "hidden layers", "step", "ms a step"),
    ("fc", "training_images", "training images", "step", "ms a step"),
    ("conv", "batch_size", "batch size", "images", "ms for 1,000 images"),
    ("conv", "layers", "convolutions", "step", "ms a step"),
    ("fc", "training_images", "training images", "memory", "peak memory, MiB"),
]
# Distinct without colour too: one marker a program.
MARKERS = "osD^v"
COLORS = ["#000000", "#e69f00", "#0072b2", "#d55e00", "#009e73"]


def name_of(measurement):
    name = measurement["contestant"]
    return "JAX 0.10 (fc: scan, conv: jit a step)" if name.startswith("JAX") else name


def value_of(measurement, kind, batch_size):
    step = statistics.median(measurement["windows_ms"][1:])
    if kind == "images":
        return 1000 * step / batch_size
    return measurement["peak_megabytes"] if kind == "memory" else step


def draw(measurements, folder):
    """Writes benchmarks_growth.png into `folder`."""
    # JAX stands once, with the variant that is its best for the network.
    contestants = list(dict.fromkeys(name_of(m) for m in measurements))
    figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), constrained_layout=True)
    for axis, (network, grows, label, kind, unit) in zip(axes.flat, PANELS):
        for contestant, marker, color in zip(contestants, MARKERS, COLORS):
            points = sorted(
                (m["label"][grows], value_of(m, kind, m["arguments"]["batch_size"]))
                for m in measurements
                if name_of(m) == contestant
                and "error" not in m
                and m["label"]["network"] == network
                and grows in m["label"]
            )
            if points:
                axis.plot(*zip(*points), marker=marker, color=color, label=contestant)
        axis.set_xscale("log", base=2 if grows != "training_images" else 10)
        axis.set_yscale("log")
        axis.set_xticks(sorted({x for line in axis.lines for x in line.get_xdata()}))
        axis.set_xlabel(label)
        axis.set_ylabel(unit)
        axis.set_title(network, loc="left")
        axis.grid(True, which="major", alpha=0.3)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.xaxis.set_minor_formatter("")
        for format_of in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            format_of(lambda value, _: f"{value:g}")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(folder / "benchmarks_growth.png", dpi=110)
    plt.close(figure)
