"""What this project set out to reach, and what was measured: met or missed, computed, not typed."""

import results
import steps

OURS = "this project, TensorFlow 2.21"
OURS_1 = "this project, TensorFlow 1.15.5"
PUBLISHED = "published program, TensorFlow 2.21 with tf-keras"
PUBLISHED_1 = "published program, TensorFlow 1.15.5"
PYTORCH = "PyTorch 2.13, eager"
JAX = "JAX 0.10, scan over steps"
FC, CONV = "fc, batch norm", "conv, batch norm"


def median_of(measurements, label, contestant, values):
    """The median over the processes of `contestant` on `label`, or None where none was measured."""
    chosen = [
        m
        for m in measurements
        if m["label"] == label and m["contestant"] == contestant and "error" not in m
    ]
    found = results.spread(values(chosen))
    return found and found["median"]


def compute():
    """[(claim, target as text, value or None, whether it is met)], in the order of the page."""
    step_measurements = (results.load("steps") or {}).get("measurements", [])
    whole = (results.load("whole") or {}).get("whole", [])

    def step(label, contestant):
        return median_of(step_measurements, label, contestant, steps.step_times)

    def process(label, contestant, key):
        return median_of(whole, label, contestant, lambda found: [m[key] for m in found])

    def memory(label, contestant):
        return process(label, contestant, "peak_megabytes")

    def seconds(label, contestant):
        return process(label, contestant, "process_seconds")

    rows = [
        (
            f"{FC}: steps a second over the published program's, TensorFlow 2.21",
            "at least",
            3.0,
            step(FC, PUBLISHED),
            step(FC, OURS),
        ),
        (
            f"{FC}: steps a second over JAX's with scan",
            "at least",
            1.0,
            step(FC, JAX),
            step(FC, OURS),
        ),
        (
            f"{CONV}: steps a second over the published program's, TensorFlow 2.21",
            "at least",
            1.4,
            step(CONV, PUBLISHED),
            step(CONV, OURS),
        ),
        (
            f"{CONV}: steps a second over PyTorch's",
            "at least",
            1.7,
            step(CONV, PYTORCH),
            step(CONV, OURS),
        ),
        (
            "a conv step with batch norm over one without",
            "at most",
            1.25,
            step(CONV, OURS),
            step("conv", OURS),
        ),
        (
            f"{FC}: whole process over the published program's on TensorFlow 1.15.5",
            "at most",
            0.65,
            seconds(FC, OURS),
            seconds(FC, PUBLISHED_1),
        ),
        (
            f"{FC}: peak memory over the published program's, TensorFlow 2.21",
            "at most",
            1.0,
            memory(FC, OURS),
            memory(FC, PUBLISHED),
        ),
        (
            f"{CONV}: peak memory over the published program's, TensorFlow 2.21",
            "at most",
            1.0,
            memory(CONV, OURS),
            memory(CONV, PUBLISHED),
        ),
        (
            f"{FC}: steps a second over the published program's, TensorFlow 1.15.5",
            "at least",
            1.6,
            step(FC, PUBLISHED_1),
            step(FC, OURS_1),
        ),
        (
            f"{CONV}: steps a second over the published program's, TensorFlow 1.15.5",
            "at least",
            1.6,
            step(CONV, PUBLISHED_1),
            step(CONV, OURS_1),
        ),
    ]
    return [judged(*row) for row in rows]


def judged(claim, direction, target, numerator, denominator):
    """(claim, target text, ratio or None, met or None)."""
    if not numerator or not denominator:
        return claim, f"{direction} {target:g}", None, None
    ratio = numerator / denominator
    met = ratio >= target if direction == "at least" else ratio <= target
    return claim, f"{direction} {target:g}", ratio, met
