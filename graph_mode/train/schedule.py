"""When a run measures itself: often while things change fast, then every --validate-every batches.

Validation, --histograms and --diagnostics follow this one schedule, and measure at the end besides.
Batches are counted from 0.
"""

EARLY = (0, 10, 20, 50, 100, 200)
PRINTED_EVERY = 100


def is_measured(step, flags):
    """Whether the network is measured after this batch."""
    return step in EARLY or is_validation_printed(step, flags)


def is_validation_printed(step, flags):
    """Whether the validation after this batch is printed, as in the published program."""
    return step % flags.validate_every == 0


def is_batch_printed(step, flags):
    """Whether the training batch itself is measured and printed, as in the published program."""
    return step % PRINTED_EVERY == 0 and not is_validation_printed(step, flags)
