"""The documentation: every example in it runs, every public name is in it."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
from pathlib import Path

import pages
import pytest

import lrkern as lk
from lrkern import recipes, schedules
from lrkern.schedules.names import CURVES

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# Without a GPU, the CUDA page runs in the simulator: tests/cuda. The dialects have their own tests, and so do frameworks.
ELSEWHERE = (
    "lrkern.__main__",
    "lrkern._core",
    "lrkern.cuda",
    "lrkern.dialects",
    "lrkern.jax",
    "lrkern.keras",
    "lrkern.torch",
)
MODULES = ["lrkern"] + [
    module.name for module in pkgutil.walk_packages(lk.__path__, "lrkern.") if not module.name.startswith(ELSEWHERE)
]

spec = importlib.util.spec_from_file_location("curve_table", ROOT / "tools" / "curve_table.py")
curve_table = importlib.util.module_from_spec(spec)
if PAGES[0].exists():
    spec.loader.exec_module(curve_table)

pytestmark = pytest.mark.skipif(not PAGES[0].exists(), reason="needs the source checkout")


def examples(module_name):
    """Doctests of a module, including those of decorated functions."""
    module = importlib.import_module(module_name)
    found = {test.name: test for test in doctest.DocTestFinder(exclude_empty=True).find(module, module_name)}
    for name, member in vars(module).items():
        if callable(member) and getattr(member, "__module__", None) == module_name and inspect.getdoc(member):
            full = f"{module_name}.{name}"
            if full not in found and not inspect.isclass(member):
                parsed = doctest.DocTestParser().get_doctest(member.__doc__, {}, full, None, None)
                found[full] = parsed
    return [test for test in found.values() if test.examples]


EXAMPLES = [test for name in MODULES for test in examples(name)]


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name)
def test_examples_of_docstrings(test):
    told = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)
    assert runner.tries > 0


def test_every_public_name_has_a_docstring_and_an_example():
    with_example = {test.name.split(".")[-1] for test in EXAMPLES} | {
        test.name.split(".")[-2] for test in EXAMPLES if test.name.count(".") > 2
    }
    for name in lk.__all__:
        member = getattr(lk, name)
        if name == "__version__":
            continue
        assert inspect.getdoc(member), name
        assert name in with_example or name in ("Plan", "get_threads"), f"{name} has no example"


def test_every_curve_is_public_and_every_name_is_there_once():
    assert set(CURVES) - {"join"} | {"from_function"} == {*schedules.__all__, *recipes.__all__} <= set(lk.__all__)
    assert len(lk.__all__) == len(set(lk.__all__))
    assert all(hasattr(lk, name) for name in lk.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run_and_comments_tell_what_comes_out(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.run(page, "python")


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    modules = set(re.findall(r"automodule:: ([\w.]+)", text))
    names = set(re.findall(r"auto(?:class|function):: lrkern\.(\w+)$", text, re.M))
    for name in lk.__all__:
        documented = name in names or getattr(lk, name).__module__ in modules if name != "__version__" else True
        assert documented, f"{name} is on no page of docs/"
    assert names <= set(lk.__all__)


def test_links_between_pages_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:lrkern|src_c|tests|bench|tools|docs|examples)/[\w./*]+)`", text)
    assert len(named) > 10
    assert [path for path in named if not list(ROOT.glob(path))] == []


def test_contributing_shows_every_folder():
    tree = re.search(r"## Where things are.*?```text\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)[1]
    for top in ("lrkern", "src_c"):
        section = re.search(rf"^{top}/.*\n((?: .*\n)*)", tree, re.M)[1]
        shown = set(re.findall(r"(\w+)/", section))
        folders = {path.name for path in (ROOT / top).iterdir() if path.is_dir() and path.name != "__pycache__"}
        assert folders - {"include"} <= shown, f"{top}: {folders - shown}"


def test_results_have_one_place_for_the_tables():
    text = (ROOT / "bench" / "RESULTS.md").read_text()
    assert text.count("<!-- bench:begin -->") == text.count("<!-- bench:end -->") == 1
    assert text.index("<!-- bench:begin -->") < text.index("<!-- bench:end -->")


def test_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 200
    for command in ("make demo", "make test", "pip install ."):
        assert any(command in line for line in lines)


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md"), *(ROOT / "bench").glob("*.md")], ids=lambda page: page.name)
def test_lines_of_pages_fit_the_screen(page):
    """128 columns, as for code, except for table rows, which cannot be wrapped."""
    assert [line for line in page.read_text().splitlines() if len(line) > 128 and not line.startswith("|")] == []


def test_every_curve_is_listed():
    text = curve_table.PAGE.read_text()
    assert curve_table.written(text) == text, "the list of curves is outdated: `make record` rewrites it"
    listed = re.findall(r"^\| `(\w+)\((.*?)\)` \| \S", text, re.M)
    assert sorted(name for name, _ in listed) == sorted([*schedules.__all__, *recipes.__all__])
    for name, arguments in listed:
        parameters = list(inspect.signature(getattr(lk, name)).parameters.values())
        shown = [argument for argument in arguments.split(", ") if argument != "..."]
        assert len(shown) == len(parameters) or arguments.endswith("..."), name
        for argument, parameter in zip(shown, parameters, strict=False):
            word, given, default = argument.partition("=")
            assert word == parameter.name, name
            assert not given or ast.literal_eval(default) == parameter.default, name
