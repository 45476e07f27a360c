"""Small models, data and loops for the tests of `lrkern.torch`."""

from __future__ import annotations

import io

import torch
from torch import nn


class Attention(nn.Module):
    """A transformer of one layer over tokens, which tells the first token of a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(4, 16), nn.Parameter(torch.zeros(6, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.layer(self.embed(x) + self.place).mean(1))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 4)
    )


def images(n: int = 64):
    """8 x 8 images whose brightest quarter is the label."""
    y = torch.arange(n) % 4
    x = torch.randn(n, 1, 8, 8) * 0.5
    for i, label in enumerate(y.tolist()):
        x[i, 0, 4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 1.0
    return x, y


def sequences(n: int = 64):
    x = torch.randint(0, 4, (n, 6))
    return x, x[:, 0]


def train(model: nn.Module, opt, data, steps: int, *, scheduler=None, begin: int = 0) -> list[float]:
    """The losses of steps, each on a quarter of the data."""
    x, y = data
    losses = []
    for step in range(begin, begin + steps):
        part = slice(step % 4 * (len(x) // 4), (step % 4 + 1) * (len(x) // 4))
        opt.zero_grad()
        inputs = x[part].to(next(model.parameters()).dtype) if x.is_floating_point() else x[part]
        loss = nn.functional.cross_entropy(model(inputs), y[part])
        loss.backward()
        opt.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
    return losses


def little(dtype=torch.float32) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).to(dtype)


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for param in model.parameters():
        param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64).to(param.dtype)


def same_bits(a, b) -> bool:
    """Whether two tensors have the same dtype, shape and bits."""
    a, b = a.detach(), b.detach()
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.contiguous().reshape(-1).view(torch.uint8).equal(b.contiguous().reshape(-1).view(torch.uint8))


def through_a_file(state):
    """A state as `torch.load` gives it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
