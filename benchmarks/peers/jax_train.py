"""The same networks in JAX with optax: one jit-compiled call a step, or a scan over many steps."""

import os

# XLA's start-up messages are not part of the measurement's output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import measuring  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

MODES = ["scan", "jit"]
glorot_uniform = jax.nn.initializers.glorot_uniform()


def initialize(key, arguments):
    """(parameters, moving averages of mean and variance): lists of a layer's arrays."""
    shapes = []
    network = measuring.network_of(arguments)
    channels, size = 1, 28
    for filters, stride in network.convolutions:
        shapes.append((network.kernel_size, network.kernel_size, channels, filters))
        channels, size = filters, -(-size // stride)
    inputs = channels * size * size
    for count in network.hidden_units:
        shapes.append((inputs, count))
        inputs = count
    keys = jax.random.split(key, len(shapes) + 1)
    parameters, averages = [], []
    for layer_key, shape in zip(keys, shapes):
        layer = {"kernel": glorot_uniform(layer_key, shape)}
        if arguments.batch_norm:
            layer.update(gamma=jnp.ones(shape[-1]), beta=jnp.zeros(shape[-1]))
            averages.append([jnp.zeros(shape[-1]), jnp.ones(shape[-1])])
        parameters.append(layer)
    parameters.append({"kernel": glorot_uniform(keys[-1], (inputs, 10)), "bias": jnp.zeros(10)})
    return parameters, averages


def normalize(x, layer, average, training, momentum):
    """Batch normalization over all axes but the last; returns (y, new moving averages)."""
    mean, variance = average
    if training:
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
        pairs = zip(average, (mean, variance))
        average = [momentum * old + (1 - momentum) * new for old, new in pairs]
    scale = layer["gamma"] * jax.lax.rsqrt(variance + 0.001)
    return (x - mean) * scale + layer["beta"], average


def apply(parameters, averages, images, training, arguments):
    """(logits [n, 10], new averages) of images uint8 [n, 28, 28]."""
    x = images[..., None].astype(jnp.float32) / 255
    new_averages = []
    convolutions = iter(measuring.network_of(arguments).convolutions)
    for index, layer in enumerate(parameters[:-1]):
        kernel = layer["kernel"]
        if kernel.ndim == 4:
            stride = next(convolutions)[1]
            x = jax.lax.conv_general_dilated(
                x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        else:
            x = x.reshape(len(x), -1) @ kernel
        if averages:
            x, average = normalize(x, layer, averages[index], training, arguments.momentum)
            new_averages.append(average)
        x = jax.nn.relu(x)
    last = parameters[-1]
    return x @ last["kernel"] + last["bias"], new_averages


def main():
    arguments = measuring.parse_arguments(__doc__, MODES)
    splits = measuring.read_mnist(arguments.data_dir)
    images, labels = (jnp.asarray(array) for array in splits["train"])
    rate = arguments.learning_rate
    if arguments.fast:
        rate = optax.cosine_onecycle_schedule(arguments.steps, rate)
    optimizer = optax.adam(rate)
    parameters, averages = initialize(jax.random.key(arguments.seed), arguments)
    state = (parameters, averages, optimizer.init(parameters))

    def loss_function(parameters, averages, images, labels):
        logits, averages = apply(parameters, averages, images, True, arguments)
        targets = jax.nn.one_hot(labels, 10)
        return optax.sigmoid_binary_cross_entropy(logits, targets).mean(), averages

    # The training set is an argument: as a constant of the program, XLA would fold into it.
    def train_step(state, batch, images, labels):
        parameters, averages, optimizer_state = state
        gradient = jax.value_and_grad(loss_function, has_aux=True)
        (loss, averages), gradients = gradient(parameters, averages, images[batch], labels[batch])
        updates, optimizer_state = optimizer.update(gradients, optimizer_state)
        return (optax.apply_updates(parameters, updates), averages, optimizer_state), loss

    def scan(state, batches, *data):
        return jax.lax.scan(lambda state, batch: train_step(state, batch, *data), state, batches)

    compiled = jax.jit(scan if arguments.mode == "scan" else train_step, donate_argnums=0)
    generator = np.random.default_rng(arguments.seed)

    def endless_batches():
        while True:
            order = generator.permutation(len(images)).astype(np.int32)
            whole = len(order) // arguments.batch_size
            yield from order[: whole * arguments.batch_size].reshape(whole, -1)

    batches = endless_batches()

    def train(steps):
        nonlocal state
        if arguments.mode == "scan":
            chunk = np.stack([next(batches) for _ in range(steps)])
            state, _ = compiled(state, chunk, images, labels)
        else:
            for _ in range(steps):
                state, _ = compiled(state, next(batches), images, labels)
        jax.block_until_ready(state)

    @jax.jit
    def correct(parameters, averages, images, labels):
        logits, _ = apply(parameters, averages, images, False, arguments)
        return (logits.argmax(1) == labels).sum()

    def accuracy(split):
        return measuring.share_of(lambda *batch: correct(*state[:2], *batch), *splits[split])

    measuring.measure(arguments, train, accuracy, {"jax": jax.__version__})


if __name__ == "__main__":
    main()
