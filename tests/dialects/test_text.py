"""Dialects in texts: `torch.StepLR(0.1, 30)` for `parse` and the command line."""

from __future__ import annotations

import ast
import inspect
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
from test_properties import EXAMPLES

import lrkern as lk
from lrkern import dialects
from lrkern.cli import commands
from lrkern.schedules import budget


class Prefixed(ast.NodeTransformer):
    """Functions of a dialect get its name before theirs."""

    def __init__(self, dialect, names):
        self.dialect, self.names = dialect, names

    def visit_Name(self, node):
        return ast.Attribute(ast.Name(self.dialect), node.id) if node.id in self.names else node


def examples():
    """(module, function, call) of every call in the docstrings of all dialects."""
    found = []
    for dialect in dialects.__all__:
        module = import_module(f"lrkern.dialects.{dialect}")
        for name in module.__all__:
            lines = [line[4:] for line in (inspect.getdoc(getattr(module, name)) or "").splitlines() if line.startswith(">>> ")]
            for line in lines:
                calls = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
                found += [(module, name, call) for call in calls if getattr(call.func, "id", None) == name]
    return found


EVERY = examples()


def text_of(module, call):
    dialect = module.__name__.rpartition(".")[2]
    return ast.unparse(Prefixed(dialect, module.__all__).visit(ast.parse(ast.unparse(call), mode="eval")))


@pytest.mark.parametrize(("module", "name", "call"), EVERY, ids=[f"{m.__name__[16:]}.{name}" for m, name, _ in EVERY])
def test_the_examples_of_every_dialect(module, name, call):
    """What Python evaluates and what `parse` reads are the same."""
    text = text_of(module, call)
    try:
        wanted = eval(ast.unparse(call), {**vars(lk), **vars(module)})
    except NameError:
        return  # the example goes on from earlier lines
    if "lambda" in text:
        with pytest.raises(ValueError, match=r"^parse: 'lambda' is not allowed here"):
            lk.parse(text)
    elif isinstance(wanted, tuple):
        with pytest.raises(ValueError, match=rf"^parse: [a-z_]+\.{name} gives 3 schedules: write \.{wanted._fields[0]}, "):
            lk.parse(text)
        for field, one in wanted._asdict().items():
            assert lk.parse(f"0.5 * {text}.{field}.warmup(3)") == 0.5 * one.warmup(3)
    elif not isinstance(wanted, lk.Schedule):
        with pytest.raises(ValueError, match=rf"^parse: [a-z_]+\.{name} returns .*, not a schedule"):
            lk.parse(text)
    else:
        assert lk.parse(text) == wanted
        assert lk.parse(repr(wanted)) == wanted
        assert lk.parse(f"0.5 * {text}.clip(0.0)") == 0.5 * wanted.clip(0.0)


def test_there_are_examples_of_every_dialect():
    assert {module.__name__.rpartition(".")[2] for module, _, _ in EVERY} == set(dialects.__all__)
    assert len(EVERY) > 90


def test_arguments_may_be_whatever_can_be_written():
    d = dialects
    for text, wanted in [
        (
            "optax.piecewise_constant_schedule(1.0, {3: 0.1, 5: 0.5})",
            d.optax.piecewise_constant_schedule(1.0, {3: 0.1, 5: 0.5}),
        ),
        ("torch.MultiStepLR(0.1, milestones=(3, 10**2),)", d.torch.MultiStepLR(0.1, [3, 100])),
        ("torch.LambdaLR(0.1, cosine(1, 0, 9))", 0.1 * lk.cosine(1.0, 0.0, 9)),
        (
            "torch.SequentialLR([torch.ConstantLR(0.1), torch.ExponentialLR(0.1, 0.9).clip(0.01)], [5])",
            d.torch.SequentialLR([d.torch.ConstantLR(0.1), d.torch.ExponentialLR(0.1, 0.9).clip(0.01)], [5]),
        ),
        ("torch.StepLR(0.1, 30) + constant(1.0)", d.torch.StepLR(0.1, 30) + lk.constant(1.0)),
    ]:
        assert lk.parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch.StepLR", "parse: torch.StepLR is not a value; dialects are called, as in torch.StepLR(0.1, 30) (column 7)"),
        ("torch.StepLR.__call__(1)", "parse: torch.StepLR is not a value; dialects are called, as in torch.StepLR(0.1, 30)"),
        ("torch", "parse: 'torch' is not a value; curves are called, as in cosine(0.1, 0.0, 1000)"),
        ("torch(1)", "parse: 'torch' is not a curve"),
        ("torch.(1)", "parse: torch.( is not a value; dialects are called, as in torch.StepLR(0.1, 30) (column 7)"),
        ("torch." + "a" * 10**5 + "(1)", f"parse: '{'a' * 59}... is not a schedule of lrkern.dialects.torch"),
        ("torch." + "a" * 10**5, f"parse: torch.{'a' * 57}... is not a value; dialects are called"),
        ("torch.Nonsense(1)", "parse: 'Nonsense' is not a schedule of lrkern.dialects.torch"),
        ("torch.count('a', 'b', 1)", "parse: 'count' is not a schedule of lrkern.dialects.torch"),
        ("torch.__getattr__('x')", "parse: '__getattr__' is not a schedule of lrkern.dialects.torch"),
        ("_parts.placed(1)", "parse: '_parts' is not a value; curves are called"),
        ("os.system('true')", "parse: 'os' is not a value; curves are called"),
        ("torch.StepLR(0.1)", "parse: torch.StepLR: missing a required argument: 'step_size'"),
        ("torch.StepLR(0.1, size=3)", "parse: torch.StepLR: missing a required argument: 'step_size'"),
        (
            "nanochat.chat_rl(9).lr",
            "parse: nanochat.chat_rl gives 3 schedules: write .lr_multiplier, .momentum or .weight_decay after it to take one "
            "(column 20)",
        ),
        ("nanochat.chat_rl(9).momentum(3)", "parse: nanochat.chat_rl gives 3 schedules: write .lr_multiplier, "),
        ("nanochat.chat_rl(9)._fields", "parse: nanochat.chat_rl gives 3 schedules: write .lr_multiplier, "),
        ("nanochat.chat_rl(9).warmup(3)", "parse: nanochat.chat_rl gives 3 schedules: write .lr_multiplier, "),
        ("nanochat.chat_rl(9).momentum.momentum", "parse: 'momentum' is not a method of schedules"),
        ("torch.StepLR(0.1, 30, x=3)", "parse: torch.StepLR: got an unexpected keyword argument 'x'"),
        ("torch.StepLR(0.1, 0)", "torch.StepLR: step_size must be an integer >= 1; got 0 (int)"),
        ("torch.StepLR(0.1, 30).StepLR(1)", "parse: 'StepLR' is not a method of schedules"),
        ("constant(1.0).torch.StepLR(1, 2)", "parse: 'torch' is not a method of schedules"),
        ("{'a': 1}", "parse: the expression must be a schedule; got {'a': 1} (dict)"),
        ("constant({1.5: 2})", "parse: a dict with the key 1.5 (float) is not allowed (column 11)"),
        ("constant({[1]: 2})", "parse: a dict with the key [1] (list) is not allowed (column 11)"),
        ("constant({'a': 1, 'a': 2})", "parse: giving 'a' twice is not allowed (column 19)"),
        ("constant({1})", "parse: '}' is not allowed here (column 12)"),
        ("constant({1: 2, 3})", "parse: '}' is not allowed here (column 18)"),
        ("constant({**{}})", "parse: '**' is not allowed here (column 11)"),
        ("{" * 101, "parse: brackets may be nested 100 deep at most"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_dialect(text, message):
    with pytest.raises(ValueError, match=r"^") as caught:
        lk.parse(text)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 300


LONG = [
    "torch.MultiplicativeLR(1.0, constant(0.9), {})",
    "torch.CyclicLR(0.1, 1.0, scale_fn=constant(1.0), scale_mode='iterations', steps={})",
    "torch.CyclicLR(0.1, 1.0, step_size_up=1, scale_fn=constant(1.0), steps={} * 4)",
    "timm.CosineLRScheduler(0.1, 10, noise_range_t=[0, {}])",
    "timm.StepLRScheduler(0.1, 10, noise_range_t=0, steps={})",
    "timm.WSDLRScheduler(1.0, {0} + 1, {0}, decay_fn=constant(1.0))",
    "fvcore.StepWithFixedGammaParamScheduler(1.0, {0}, 0.5, {0} + 1)",
    "deepspeed.OneCycle(0.0, 1.0, cycle_first_stair_count={})",
]


@pytest.mark.parametrize("text", LONG)
def test_short_texts_may_not_ask_for_much(text):
    assert isinstance(lk.parse(text.format(10)), lk.Schedule)
    for n in (1_000_001, 10**9, 2**50):
        begin = time.thread_time()
        with pytest.raises(ValueError, match=r"^parse: text must not compute more than 1000000 values; got \d+$"):
            lk.parse(text.format(n))
        assert time.thread_time() - begin < 0.5
    lk.parse(text.format(10))


def test_what_a_text_may_ask_for_is_counted_in_all_its_calls():
    one = "torch.MultiplicativeLR(1.0, constant(0.9), 1000)"
    lk.parse(f"join([{', '.join([one] * 100)}], {list(range(1, 100))})")
    text = f"join([{', '.join([one] * 1001)}], [])"
    with pytest.raises(ValueError, match="text must not compute more than 1000000 values; got 1001000"):
        lk.parse(text)
    with pytest.raises(ValueError, match="text must not compute more than 1000000 values"):
        lk.parse(f"torch.MultiStepLR(0.1, [{'1,' * 10_000}])")


def test_python_and_other_threads_may_ask_for_more():
    with budget.limited():
        budget.spend(budget.MOST)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(budget.spend, 10**9).result()
        with pytest.raises(ValueError, match="values; got 1000001"):
            budget.spend(1)
    budget.spend(10**9)


ODD = ["0", "1", "-1", "2", "3.5", "1e300", "1e-300", "5e-324", "10**9", "2**53", "10**15", "0.1", "0.999999999", "1.0000001"]
ODD += [
    "True",
    "None",
    "'x'",
    "''",
    "'linear'",
    "'1dur'",
    "'10ba'",
    "'1ep'",
    "'cos'",
    "1e999",
    "-1e999",
    "10**300",
    "(1, 2, 3)",
]
ODD += ["[]", "[1]", "[1, 2]", "[0.1, 'a']", "[[1]]", "{}", "{'a': 1}", "{1: 0.5}", "constant(1.0)", "[constant(1.0)]"]


def test_random_arguments():
    """Any function of any dialect, given anything that can be written: a schedule, or one short error, quickly."""
    draw, read = random.Random(19 if EXAMPLES is None else None), 0
    for _ in range(100 * int(EXAMPLES or 30)):
        module, name, call = draw.choice(EVERY)
        if "lambda" in ast.unparse(call):
            continue
        args = [text_of(module, one) for one in call.args]
        kwargs = {one.arg: text_of(module, one.value) for one in call.keywords}
        parameters = list(inspect.signature(getattr(module, name)).parameters)
        for _ in range(draw.choice((1, 1, 2, 3))):
            if args and draw.random() < 0.5:
                args[draw.randrange(len(args))] = draw.choice(ODD)
            elif len(parameters) > len(args):
                kwargs[draw.choice(parameters[len(args) :])] = draw.choice(ODD)
        words = [*args, *(f"{key}={value}" for key, value in kwargs.items())]
        text = f"{module.__name__.rpartition('.')[2]}.{name}({', '.join(words)})"
        begin = time.thread_time()
        try:
            schedule = lk.parse(text)
        except (ValueError, TypeError, OverflowError) as error:
            assert len(str(error)) < 400, text
        else:
            assert lk.parse(repr(schedule)) == schedule, text
            read += 1
        assert time.thread_time() - begin < 0.5, text
    assert read > 100


def test_the_command_line_knows_dialects(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lrkern", "table", "torch.StepLR(0.5, 1, 0.5)", "-n", "3"])
    with pytest.raises(SystemExit) as end:
        commands.main()
    assert end.value.code == 0
    assert capsys.readouterr().out == "step,value\n0,0.5\n1,0.25\n2,0.125\n"
