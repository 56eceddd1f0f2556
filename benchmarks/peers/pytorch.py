"""The same networks in PyTorch: eager, or with torch.compile. The training set is one tensor.

Batches are taken from it by index, which is faster than a DataLoader that collates single images.
"""

import measuring
import numpy as np
import torch
from torch import nn

MODES = ["default", "compile"]


def build_network(arguments):
    """A module from images [n, 1, 28, 28] to logits [n, 10]."""
    modules = []

    def add(module, normalization):
        nn.init.xavier_uniform_(module.weight)
        modules.append(module)
        if arguments.batch_norm:
            # PyTorch's momentum is the weight of the new batch: one minus TensorFlow's.
            momentum = 1 - arguments.momentum
            modules.append(normalization(module.weight.shape[0], eps=0.001, momentum=momentum))
        modules.append(nn.ReLU())

    network = measuring.network_of(arguments)
    channels, size, kernel = 1, 28, network.kernel_size
    for filters, stride in network.convolutions:
        convolution = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False)
        add(convolution, nn.BatchNorm2d)
        channels, size = filters, -(-size // stride)
    modules.append(nn.Flatten())
    inputs = channels * size * size
    for count in network.hidden_units:
        add(nn.Linear(inputs, count, bias=False), nn.BatchNorm1d)
        inputs = count
    last = nn.Linear(inputs, 10)
    nn.init.xavier_uniform_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*modules, last)


def main():
    arguments = measuring.parse_arguments(__doc__, MODES)
    torch.manual_seed(arguments.seed)
    splits = {
        name: (torch.from_numpy(x.astype(np.float32) / 255).unsqueeze(1), torch.from_numpy(y))
        for name, (x, y) in measuring.read_mnist(arguments.data_dir).items()
    }
    images, labels = splits["train"]
    one_hot = nn.functional.one_hot(labels, 10).float()
    network = build_network(arguments)
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.learning_rate)
    schedule = None
    if arguments.fast:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, arguments.learning_rate, arguments.steps, cycle_momentum=False
        )
    loss_function = nn.BCEWithLogitsLoss()
    forward = torch.compile(network) if arguments.mode == "compile" else network

    def batches():
        while True:
            order = torch.randperm(len(images))
            yield from order.split(arguments.batch_size)[: len(images) // arguments.batch_size]

    indices = batches()

    def train(steps):
        network.train()
        for _ in range(steps):
            batch = next(indices)
            loss = loss_function(forward(images[batch]), one_hot[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule:
                schedule.step()

    @torch.no_grad()
    def accuracy(split):
        network.eval()
        return measuring.share_of(lambda x, y: (network(x).argmax(1) == y).sum(), *splits[split])

    measuring.measure(arguments, train, accuracy, {"torch": torch.__version__})


if __name__ == "__main__":
    main()
