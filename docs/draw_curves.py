"""Draws docs/curves.png, the picture at the head of README: `python docs/draw_curves.py`."""

from pathlib import Path

from matplotlib.figure import Figure

import lrkern as lk
from lrkern.pictures.plotting import COLORS

N = 1000
CURVES = {
    "cosine + warmup": lk.cosine(1.0, 0.0, 900).warmup(100),
    "wsd": lk.wsd(1.0, 100, 600, 300, tail="one_minus_sqrt"),
    "one_cycle": lk.one_cycle(1.0, N),
    "warm_restarts": lk.warm_restarts(1.0, 0.0, 143, growth=2.0, gain=0.8),
    "inverse_sqrt + warmup": lk.inverse_sqrt(1.0, 100).warmup(100),
    "rex": lk.rex(1.0, 0.0, N),
    "cyclic": lk.cyclic(0.1, 1.0, 100, mode="triangular2"),
    "step_decay": lk.step_decay(1.0, 0.5, 200),
    "tanh": lk.tanh(1.0, 0.0, N),
    "repeat + gain": lk.linear(1.0, 0.1, 200).repeat(200, gain=0.75),
    "product": lk.cosine(1.0, 0.2, N) * lk.cyclic(0.6, 1.0, 40),
    "cooldown": lk.exponential(1.0, 0.9993).cooldown(800, 200),
    "wsd_s": lk.wsd_s(1.0, 0.1, 60, [300, 600, 1000], [60, 80, 120]),
    "power_lr + cooldown": lk.power_lr(50, 1000, 50, peak=1.0).cooldown(800, 200, curve="halving"),
    "tri_stage": lk.tri_stage(1.0, 100, 300, 500),
    "cosine + noise": lk.cosine(1.0, 0.1, N) * (1.0 + lk.noise(0.04, limit=2.0).staircase(4)),
}


def draw() -> Figure:
    """A grid of small pictures."""
    figure = Figure(figsize=(9.0, 5.2), dpi=120, layout="constrained")
    for i, (axes, (name, s)) in enumerate(zip(figure.subplots(4, 4).flat, CURVES.items(), strict=True)):
        values, color = s.table(N), COLORS[i // 4]
        axes.fill_between(range(N), values, color=color, alpha=0.12, lw=0)
        axes.plot(values, color=color, lw=1.8)
        axes.set_title(name, loc="left", fontsize=8.5, family="monospace", color="#334155", pad=3)
        axes.set(xticks=[], yticks=[], ylim=(0, 1.08), xlim=(0, N))
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color("#cbd5e1")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_name("curves.png"), facecolor="white")
