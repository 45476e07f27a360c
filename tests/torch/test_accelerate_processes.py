"""Accelerate with two processes: the steps of one process with the mean of gradients, checkpoints included."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import two_processes  # noqa: E402
from training import little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers

PROGRAM = """
import sys, warnings
sys.modules["deepspeed"] = None  # installed for the dialects without what it needs
warnings.simplefilter("ignore")
import accelerate, torch, training, two_processes, lrkern as lk, lrkern.torch as lt
path = sys.argv[1]
accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
assert accelerator.num_processes == 2
rank = accelerator.process_index

def prepared():
    model = training.little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.05, 0.0, 20), clip_norm=0.5, skip_sigma=9.0, skip_window=2)
    return accelerator.prepare(model, opt)

def train(model, opt, begin, end):
    for micro in range(begin, end):
        x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(micro))
        with accelerator.accumulate(model):
            accelerator.backward((model(x[rank]) ** 2).mean())
            opt.step()
            opt.zero_grad()

model, opt = prepared()
train(model, opt, 0, 8)
accelerator.save_state(path + "/state")
train(model, opt, 8, 12)
whole = {name: one.clone() for name, one in accelerator.unwrap_model(model).state_dict().items()}
accelerator.load_state(path + "/state")
train(model, opt, 8, 12)
again = accelerator.unwrap_model(model).state_dict()
assert opt.optimizer.count == 6
torch.save({"whole": whole, "again": again, "recent": opt.optimizer.recent}, f"{path}/{rank}.pt")
accelerator.wait_for_everyone()
two_processes.leave()
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_two_processes_are_one_with_the_mean_of_gradients(tmp_path):
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("torch without gloo")
    two_processes.run(PROGRAM, str(tmp_path), environment={"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())})
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    model = little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.05, 0.0, 20), clip_norm=0.5, skip_sigma=9.0, skip_window=2)
    for step in range(6):
        parts = []
        for rank in (0, 1):
            opt.zero_grad()
            for micro in (2 * step, 2 * step + 1):
                x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(micro))
                ((model(x[rank]) ** 2).mean() / 2).backward()
            parts.append([one.grad.clone() for one in model.parameters()])
        for param, a, b in zip(model.parameters(), *parts, strict=True):
            param.grad = a / 2 + b / 2  # as DDP does
        opt.step()
    for one in found:
        assert one["recent"] == opt.recent
        for name, value in model.state_dict().items():
            assert same_bits(one["whole"][name], value), name
            assert same_bits(one["again"][name], value), name
    assert not same_bits(model[0].weight, little()[0].weight)
