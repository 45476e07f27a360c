"""Trainers of other packages: Hugging Face's Trainer, Accelerate, Lightning, and DDP with two processes."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import two_processes  # noqa: E402
from training import little, same_bits  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

LR = lk.cosine(0.05, 0.0, 24).warmup(4)


@pytest.fixture(autouse=True)
def without_deepspeed(monkeypatch):
    """It is installed for the dialects, without what it needs: accelerate would import it, and fail."""
    monkeypatch.setitem(sys.modules, "deepspeed", None)


class Net(torch.nn.Module):
    """A model as the Trainer calls it."""

    def __init__(self):
        super().__init__()
        self.net = little()

    def forward(self, x, labels):
        out = self.net(x)
        return {"loss": torch.nn.functional.cross_entropy(out, labels), "logits": out}


def rows():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(48, 4, generator=generator)
    return [{"x": one, "labels": (one.sum() > 0).long()} for one in x]


def own_schedule(model):
    """The Trainer wants a scheduler: one of another optimizer leaves this one alone."""
    idle = torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0), lambda _: 1.0)
    return lt.AdamW(model.parameters(), lr=LR), idle


def scheduler(model):
    opt = lt.AdamW(model.parameters(), lr=1.0)
    return opt, lt.Scheduler(opt, lr=LR)


def with_torch(model):
    opt = torch.optim.AdamW(model.parameters(), lr=1.0)
    return opt, torch.optim.lr_scheduler.LambdaLR(opt, LR)


def trainer(folder, make, *, steps):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    model = Net()
    pair = make(model)
    arguments = transformers.TrainingArguments(
        str(folder), max_steps=steps, per_device_train_batch_size=8, save_steps=6, logging_steps=1, report_to=[],
        disable_tqdm=True, use_cpu=True, seed=1, max_grad_norm=0.0,
    )  # fmt: skip
    return transformers.Trainer(model, arguments, train_dataset=rows(), optimizers=pair), pair[0]


def logged(one, name):
    return [entry[name] for entry in one.state.log_history if name in entry]


@pytest.mark.slow
@pytest.mark.parametrize("make", [own_schedule, scheduler])
def test_hugging_face_trainer_with_a_checkpoint(tmp_path, make):
    logging.disable(logging.WARNING)
    theirs, _ = trainer(tmp_path / "theirs", with_torch, steps=12)
    theirs.train()
    whole, opt = trainer(tmp_path / "whole", make, steps=12)
    whole.train()
    assert opt.count == 12
    assert logged(whole, "loss") == pytest.approx(logged(theirs, "loss"), abs=2e-4)  # with four digits
    if make is scheduler:
        assert logged(whole, "learning_rate") == logged(theirs, "learning_rate") != [LR(0)] * 12
    again, resumed = trainer(tmp_path / "whole", make, steps=12)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-6"))
    assert resumed.count == 12
    assert resumed.param_groups[0]["lr"] == LR(12)
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert same_bits(a, b)


@pytest.mark.slow
def test_a_scheduler_that_the_trainer_makes_is_reported(tmp_path):
    logging.disable(logging.WARNING)
    made, _ = trainer(tmp_path, lambda model: (lt.AdamW(model.parameters(), lr=LR), None), steps=3)
    with pytest.warns(UserWarning, match=r"AdamW.step: lr of param_groups\[0\] is a schedule; the value written there holds"):
        made.train()


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning")
    logging.disable(logging.WARNING)

    class Module(lightning.LightningModule):
        def __init__(self, ours):
            super().__init__()
            self.model, self.ours, self.seen = Net(), ours, []

        def training_step(self, batch, _):
            loss = self.model(**batch)["loss"]
            self.seen.append(loss.item())
            return loss

        def configure_optimizers(self):
            if self.ours:
                return lt.AdamW(self.parameters(), lr=LR)
            opt = torch.optim.AdamW(self.parameters(), lr=1.0)
            return {"optimizer": opt, "lr_scheduler": {"scheduler": lt.Scheduler(opt, lr=LR), "interval": "step"}}

    def fit(ours, steps, path=None):
        made = Module(ours)
        loader = torch.utils.data.DataLoader(rows(), batch_size=8)
        run = lightning.Trainer(
            max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, default_root_dir=tmp_path,
        )  # fmt: skip
        run.fit(made, loader, ckpt_path=path)
        return made, run

    [ours, _], [theirs, _] = fit(True, 12), fit(False, 12)
    assert ours.seen == pytest.approx(theirs.seen, rel=1e-4)
    assert len(ours.seen) == 12
    resumed = []
    for kind in (True, False):
        _, at_half = fit(kind, 6)
        path = tmp_path / f"half-{kind}.ckpt"
        at_half.save_checkpoint(path)
        resumed.append(fit(kind, 12, path)[0])
    assert resumed[0].seen == pytest.approx(resumed[1].seen, rel=1e-4)
    assert len(resumed[0].seen) == 6
    assert resumed[0].optimizers().optimizer.count == 12


def for_scalers(kind, model):
    """An optimizer whose gradients a GradScaler divides itself: torch's is one as it is."""
    return kind.AdamW(model.parameters(), lr=0.05, **({"fused": False} if kind is lt else {}))


def test_lightning_clips_scaled_gradients(tmp_path):
    lightning = pytest.importorskip("lightning")
    precision = pytest.importorskip("lightning.pytorch.plugins.precision")
    logging.disable(logging.WARNING)

    class Module(lightning.LightningModule):
        def __init__(self, kind):
            super().__init__()
            self.model, self.kind, self.seen = Net(), kind, []

        def training_step(self, batch, step):
            loss = self.model(**batch)["loss"]
            self.seen.append(loss.item())
            return loss * float("inf") if step == 2 else loss

        def configure_optimizers(self):
            return for_scalers(self.kind, self)

    def fit(kind):
        made = Module(kind)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        run = lightning.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, default_root_dir=tmp_path, gradient_clip_val=0.1,
            plugins=precision.MixedPrecision("16-mixed", "cpu", scaler),
        )  # fmt: skip
        run.fit(made, torch.utils.data.DataLoader(rows(), batch_size=8))
        return made, scaler.get_scale()

    [ours, scale], [theirs, expected] = fit(lt), fit(torch.optim)
    assert scale == expected == 256.0
    assert ours.seen == pytest.approx(theirs.seen, rel=1e-3)
    assert ours.optimizers().optimizer.count == 10


def test_fabric_clips_scaled_gradients():
    fabric = pytest.importorskip("lightning.fabric")
    plugins = pytest.importorskip("lightning.fabric.plugins")
    results = []
    for kind in (lt, torch.optim):
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        run = fabric.Fabric(accelerator="cpu", devices=1, plugins=plugins.MixedPrecision("16-mixed", "cpu", scaler))
        model = little()
        made = for_scalers(kind, model)
        wrapped, opt = run.setup(model, made)
        run.backward(wrapped(torch.ones(3, 4)).pow(2).sum())
        run.clip_gradients(wrapped, opt, max_norm=0.5)
        results.append([one.grad.clone() for one in model.parameters()])
        opt.step()
    for a, b in zip(*results, strict=True):
        assert same_bits(a, b)


def test_schedulers_of_accelerate_wait_for_skipped_steps():
    accelerate = pytest.importorskip("accelerate")
    accelerate.Accelerator(cpu=True)  # the wrappers ask for its state
    found = []
    for kind in (lt, torch.optim):
        model = little()
        made = for_scalers(kind, model)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        opt = accelerate.optimizer.AcceleratedOptimizer(made, device_placement=False, scaler=scaler)
        halved = torch.optim.lr_scheduler.StepLR(made, 1, 0.5)
        scheduler = accelerate.scheduler.AcceleratedScheduler(halved, opt)
        seen = []
        for step in range(4):
            opt.zero_grad()
            loss = model(torch.ones(3, 4)).sum() * (float("inf") if step == 1 else 1.0)
            scaler.scale(loss).backward()
            opt.step()
            scheduler.step()
            seen.append((opt.step_was_skipped, made.param_groups[0]["lr"]))
        found.append(seen)
    assert found[0] == found[1]
    assert [skipped for skipped, _ in found[0]] == [False, True, False, False]
    assert found[0][-1][1] == 0.05 / 8


def test_the_optimizer_of_lightning_is_ours(tmp_path):
    lightning = pytest.importorskip("lightning")
    logging.disable(logging.WARNING)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.norm, self.seen = Net(), torch.nn.BatchNorm1d(4), []

        def training_step(self, batch, _):
            return self.model(self.norm(batch["x"]), batch["labels"])["loss"]

        def configure_optimizers(self):
            self.own = lt.AdamW(self.parameters(), lr=LR, ema=0.5, weight_decay=0.0)
            return self.own

        def on_train_start(self):
            self.optimizers().average_buffers(self)
            with self.optimizers().averaged():
                pass

        def on_train_batch_end(self, *_):
            for one in (self.own, self.optimizers()):
                with one.averaged():
                    self.seen.append([own.detach().clone() for own in self.state_dict().values()])
            if self.optimizers().count == 3:
                self.optimizers().set("lr", 0.0)
                self.kept = [one.detach().clone() for one in self.parameters()]

    made = Module()
    run = lightning.Trainer(
        max_steps=5, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=tmp_path,
    )  # fmt: skip
    run.fit(made, torch.utils.data.DataLoader(rows(), batch_size=8))
    assert made.own.count == made.optimizers().count == 5
    for ours, theirs in zip(made.seen[::2], made.seen[1::2], strict=True):
        assert all(same_bits(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not same_bits(made.norm.running_mean, made.seen[-1][[*made.state_dict()].index("norm.running_mean")])
    assert all(same_bits(a, b) for a, b in zip(made.parameters(), made.kept, strict=True))


def test_the_optimizer_of_fabric_is_ours():
    lightning = pytest.importorskip("lightning")
    fabric = lightning.Fabric(accelerator="cpu")
    model = Net()
    own = lt.AdamW(model.parameters(), lr=LR, ema=0.5, weight_decay=0.0)
    wrapped, opt = fabric.setup(model, own)

    def step():
        fabric.backward(wrapped(torch.ones(3, 4), torch.tensor([0, 1, 1]))["loss"])
        opt.step()

    step()
    seen = []
    for one in (own, opt):
        with one.averaged():
            seen.append([param.detach().clone() for param in model.parameters()])
    assert all(same_bits(a, b) for a, b in zip(*seen, strict=True))
    opt.set("lr", 0.0)
    before = [param.detach().clone() for param in model.parameters()]
    step()
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))
    opt.attach()
    fabric.backward(wrapped(torch.ones(3, 4), torch.tensor([0, 1, 1]))["loss"])
    opt.step()
    assert opt.count == own.count == 3


def test_accelerate():
    accelerate = pytest.importorskip("accelerate")
    found = []
    for prepare in (False, True):
        model = Net()
        opt = lt.AdamW(model.parameters(), lr=LR)
        loader = torch.utils.data.DataLoader(rows(), batch_size=8)
        if prepare:
            accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
            model, opt, loader = accelerator.prepare(model, opt, loader)
        for k, batch in enumerate(loader):
            if prepare:
                with accelerator.accumulate(model):
                    accelerator.backward(model(**batch)["loss"])
                    opt.step()
                    opt.zero_grad()
            else:
                (model(**batch)["loss"] / 2).backward()
                if k % 2:
                    opt.step()
                    opt.zero_grad()
        found.append((model, opt))
    assert found[1][1].optimizer.count == found[0][1].count == 3
    for a, b in zip(found[0][0].parameters(), found[1][0].parameters(), strict=True):
        assert same_bits(a, b)


def test_accelerate_prepares_a_scheduler():
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = Net()
    opt = lt.AdamW(model.parameters(), lr=1.0)
    model, opt, loader, steps = accelerator.prepare(
        model,
        opt,
        torch.utils.data.DataLoader(rows(), batch_size=8),
        lt.Scheduler(opt, lr=LR, weight_decay=lk.linear(0.1, 0.0, 9)),
    )
    rates = []
    for batch in loader:
        with accelerator.accumulate(model):
            accelerator.backward(model(**batch)["loss"])
            rates.append(opt.param_groups[0]["lr"])
            opt.step()
            steps.step()
            opt.zero_grad()
    assert rates == [LR(k // 2) for k in range(6)]
    assert steps.get_last_lr() == [opt.param_groups[0]["lr"]] == [LR(3)]
    assert opt.param_groups[0]["weight_decay"] == lk.linear(0.1, 0.0, 9)(3)
    assert steps.state_dict() == {"last_epoch": 3}


TWO = """
import os, sys
import torch, training, two_processes, lrkern as lk, lrkern.torch as lt
rank = int(os.environ["RANK"])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=2)
model = training.little()
wrapped = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.05, 0.0, 20), clip_norm=1.0)
for step in range(8):
    x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(step))
    opt.zero_grad()
    (wrapped(x[rank]) ** 2).mean().backward()
    opt.step()
if rank == 0:
    torch.save(model.state_dict(), sys.argv[2])
two_processes.leave()
"""


def test_two_processes_are_one_with_the_mean_of_gradients(tmp_path):
    if not torch.distributed.is_available():
        pytest.skip("torch without distributed")
    two_processes.run(TWO, str(tmp_path / "store"), str(tmp_path / "model.pt"))
    model = little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.05, 0.0, 20), clip_norm=1.0)
    for step in range(8):
        x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(step))
        parts = []
        for rank in (0, 1):
            opt.zero_grad()
            (model(x[rank]) ** 2).mean().backward()
            parts.append([one.grad.clone() for one in model.parameters()])
        for param, a, b in zip(model.parameters(), *parts, strict=True):
            param.grad = a / 2 + b / 2  # as DDP does
        opt.step()
    for a, b in zip(model.state_dict().values(), torch.load(tmp_path / "model.pt").values(), strict=True):
        assert same_bits(a, b)
