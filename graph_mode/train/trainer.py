"""Training as a script's flags ask for it: the program, its session, the run that it writes."""

import concurrent.futures
import contextlib
import inspect
import os
import sys

import numpy as np

import mnist_data
from graph_mode import command_line, machine
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.output_file import output_file
from graph_mode.runs import checkpoints, record
from graph_mode.runs.folder import Run
from graph_mode.show import model_table, tables, tensorboard
from graph_mode.train import evaluation, hooks, program
from graph_mode.train.diagnostics import Diagnostics
from graph_mode.train.histograms import Histograms
from graph_mode.train.training import Interruption, Training, print_line, train_batches

# Slices with fewer examples cost more to start than they save.
SMALLEST_SLICE = 16
# How long to wait for an error in the data before TensorFlow's import, in seconds.
FOUND_WITHIN = 0.05


def train(script, flags, further_hooks=()):
    """Trains as the flags say, prints, and writes a run; returns its folder and the data.

    script: a commands.Script; further_hooks: training.Hooks to be called besides. Raises
    CommandError and mnist_data.DataError for bad input, before anything is written, and Stopped
    after Ctrl-C or another signal.
    """
    data = load_while_importing(flags)
    backward = script.backward(flags)
    resolved = flags.resolved or resolve(flags, one_slice=flags.xla or backward is not None)
    if resolved["device"] == "gpu" and not tf.has_gpu():
        raise CommandError(
            f"{flags.resume}: the run computes on a GPU, and TensorFlow found none here: continue "
            "it where there is one"
        )
    config = configuration(flags, resolved)
    settings = record.settings_of(script, flags, resolved)
    with tf.Graph().as_default(), contextlib.ExitStack() as stack:
        network = program.Program(script.network, data.train, flags)
        loop = program.Loop(network, data.train, flags, resolved["slices"], backward)
        # For TensorBoard: what saves and measures besides would hide the network.
        graph_def = tf.get_default_graph().as_graph_def()
        finite = program.all_variables_are_finite()
        saved = checkpoints.Checkpoints(data.train)
        population = evaluation.population_of(network, data.train)
        wanted = (Histograms, flags.histograms), (Diagnostics, flags.diagnostics)
        measures = [kind(network, data.train, flags) for kind, is_wanted in wanted if is_wanted]
        session = stack.enter_context(tf.quiet_session(config))
        session.run(tf.global_variables_initializer())
        loop.prepare(session)
        interruption = stack.enter_context(Interruption(lambda: session.run(loop.request_stop)))
        shown = graph_def, model_table.rows(network.inference.tower.layers)
        run, first_step = open_run(script, flags, data, settings, shown, session, saved, stack)
        training = Training(session, loop, network.inference, population, data, flags, run, saved)
        clock, losses = hooks.Clock(), hooks.FiniteLosses(training)
        validation = hooks.Validation(training, losses)
        saving = hooks.Saving(training, validation, losses, finite)
        measuring = hooks.Measuring(training, measures)
        every = [clock, hooks.StepEvents(training), losses, validation, measuring, saving]
        last = train_batches(training, first_step, every + list(further_hooks), interruption)
        if last < flags.num_batches - 1:
            raise interruption.stopped(stop(run, script, flags, saving, last))
        measuring.write(flags.num_batches)
        result = clock.result(flags.num_batches, first_step)
        finals, of_test = hooks.measure_end(training)
        result.update(finals)
        saving.save(last, result["validation_loss"])
        write_end(training, result, of_test.moving)
        run.write_result(result)
        if interruption.signal is not None:
            raise interruption.stopped(f"after the last batch; the run is complete: {run.folder}")
    return run.folder, data


def load_while_importing(flags):
    """load_data() while TensorFlow is imported. What is wrong with the data is mostly found at
    once, and then nothing is imported."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load_data, flags)
        if not concurrent.futures.wait([loading], timeout=FOUND_WITHIN).done:
            tf.version()
        return loading.result()


def load_data(flags):
    """The data sets of --data-dir, images as uint8 [n, h, w, 1]. Raises CommandError, DataError."""
    how = {"dtype": np.uint8, "reshape": False, "seed": flags.seed, "download": False}
    size = flags.validation_size
    data = mnist_data.read_data_sets(flags.data_dir, validation_size=size, **how)
    if flags.batch_size > data.train.num_examples:
        raise CommandError(
            f"--batch-size {flags.batch_size} is larger than the training set of "
            f"{data.train.num_examples} images, which --validation-size {size} leaves: make one of "
            "the two smaller"
        )
    return data


def evaluate(script, data, flags, checkpoint):
    """Prints loss and accuracy of the validation and the test set, by the checkpoint there; with
    batch norm, also those with population statistics."""
    with restored(script, data, flags, checkpoint) as (session, network):
        population = evaluation.population_of(network, data.train)
        for split in ("validation", "test"):
            examples = getattr(data, split)
            given = population, examples.images, examples.labels
            measured = evaluation.measure(session, network.inference, *given)
            for before, found in zip(("", "With population statistics: "), measured):
                if found:
                    print_line(before + found.line(split.capitalize()))


def predict(script, data, flags, checkpoint, folder):
    """Prints `PICTURE: CLASS (SHARE)` for each picture of --predict, by the checkpoint there;
    writes what the network saw to predictions.png in the folder.

    Raises CommandError for a picture without a digit, after the answers to the others.
    """
    from graph_mode.show import digits  # needs Pillow, which training does without

    height, width, channels = data.train.image_shape
    read, errors = {}, []
    for path in flags.predict:
        try:
            read[path] = digits.read_digit(path, height, width)
        except CommandError as error:
            errors.append(error)
    for error in errors if read else errors[1:]:
        command_line.tell_error(error)
    if not read:
        raise CommandError(errors[0])
    images = np.repeat(np.stack(list(read.values())), channels, axis=3)
    with restored(script, data, flags, checkpoint) as (session, network):
        logits = session.run(network.inference.logits, {network.inference.images: images})
    kind = "probability" if flags.loss == "softmax" else "share"
    captions = []
    for path, shares in zip(read, evaluation.class_shares(logits, flags.loss)):
        found = f"{shares.argmax()} ({kind} {shares.max():.3f})"
        print_line(f"{path}: {found}")
        captions.append(f"{os.path.basename(path)}: {found}")
    picture = os.path.join(folder, "predictions.png")
    try:
        digits.picture_of(images, captions, picture)
        command_line.say(f"what the network saw: {picture}")
    except OSError as error:  # The answers are printed, and the run may be in a folder to be read.
        command_line.say(f"no picture of what the network saw: {picture}: {error.strerror}")
    if errors:
        raise CommandError(f"{len(errors)} of {len(flags.predict)} pictures were not read")


@contextlib.contextmanager
def restored(script, data, flags, checkpoint):
    """A session with the network's variables from the checkpoint, and its program.Program."""
    config = configuration(flags, flags.resolved or resolve(flags))
    with tf.Graph().as_default(), tf.quiet_session(config) as session:
        network = program.Program(script.network, data.train, flags)
        variables = tf.global_variables()
        checkpoints.restore_network(session, checkpoint, variables, flags.checkpoint_scope)
        yield session, network


def resolve(flags, one_slice=False):
    """What decides a run's digits besides its flags, for settings.json and --resume.

    The slices of a batch, and the threads inside an operation: those that --slices leaves of the
    cores, since the slices are computed side by side.
    """
    device = "cpu" if flags.device == "auto" else flags.device
    if device == "gpu" and not tf.has_gpu():
        raise CommandError(
            "--device gpu: TensorFlow found no GPU here: leave --device out, or install a "
            "TensorFlow with CUDA"
        )
    most = max(1, flags.batch_size // SMALLEST_SLICE)
    slices = 1 if one_slice or device == "gpu" else min(flags.slices, most)
    threads = max(1, (flags.threads or machine.cores()) // slices)
    return {"slices": slices, "operation_threads": threads, "device": device}


def configuration(flags, resolved):
    """The session's ConfigProto; sets the process's threads too."""
    threads = flags.threads or machine.cores(), resolved["operation_threads"]
    return tf.configuration(*threads, resolved["device"])


def open_run(script, flags, data, settings, shown, session, saved, stack):
    """The run, new or the one of --resume, and the step to begin with. `stack` closes the run;
    shown: of the network, the GraphDef and the rows of model_table."""
    if flags.resume:
        run = Run.resume(flags.resume)
        stack.callback(run.close)
        return run, resume(run, flags, settings, session, saved)
    graph_def, rows = shown
    run = Run.create(flags.log_dir, script.name, flags.run_name or flags.default_name, settings)
    stack.callback(run.close)
    try:
        defaults, table = vars(script.parse_flags([])), tables.markdown(model_table.HEADS, rows)
        tensorboard.add_start(run.train, settings, defaults, graph_def, table)
        run.flush()
    except BaseException:
        run.remove()
        raise
    heading = model_table.heading(script.name, flags, data, run.folder)
    command_line.show(f"{heading}\n{model_table.text(rows)}")
    return run, 0


def resume(run, flags, settings, session, saved):
    """Sets session and data to the run's last checkpoint; returns the step to go on with. Raises
    CommandError where the run cannot go on."""
    before = record.read_settings(run.folder)
    if before["data"] != settings["data"]:
        raise CommandError(
            f"{run.folder}: the files in {flags.data_dir} are not those that the run began "
            "with: name their folder with --data-dir"
        )
    saved.restore(session, run.folder)
    first_step = int(session.run(tf.train.get_global_step()))
    remaining = flags.num_batches - first_step
    if remaining < 0 or (remaining == 0 and record.has_result(run.folder)):
        raise CommandError(
            f"{run.folder}: all of its {first_step} batches are trained: name more with "
            "--num-batches"
        )
    changed = record.other_arithmetic(before.get("versions", {}), settings["versions"])
    if changed:
        command_line.say(
            f"{run.folder}: batches before {first_step} were trained with {changed}: the losses "
            "can differ from those of a run that never stopped"
        )
    run.go_on_from(first_step, settings)
    return first_step


def stop(run, script, flags, saving, last):
    """Saves the run after a signal; returns after which batch it stopped, and how to continue."""
    if last < 0:
        run.remove()
        return "before the first batch"
    saving.save(last)
    words = ["--resume", machine.no_flag(run.folder)]
    if flags.export:
        words += ["--export", machine.no_flag(flags.export)]
    if machine.ipython():  # a line for a cell
        file = machine.relative(inspect.getfile(script.network))
        how = machine.magic(["run", file] + words)
    else:
        how = machine.command([machine.python(), machine.relative(sys.argv[0])] + words)
    return f"after batch {last}; to continue: {how}"


def write_end(training, result, of_test):
    """Writes what is known at the end: pictures of the mistakes and the accuracy of each class, of
    the test set with moving averages."""
    run, test = training.run, training.data.test
    images = {}
    try:
        from graph_mode.show import pictures

        images = pictures.of_mistakes(test.images, test.labels, of_test.logits)
    except (ImportError, OSError) as error:
        command_line.say(f"no pictures ({error}): {machine.how_to_install()}")
    for name, png in images.items():
        with output_file(os.path.join(run.folder, f"{name}.png"), "wb") as file:
            file.write(png)
    with output_file(os.path.join(run.folder, "accuracy_by_class.csv")) as file:
        file.write(evaluation.accuracy_by_class(of_test, test.labels))
    tensorboard.add_end(run.train, training.flags.num_batches, result, images)
