"""What can be read off the files alone: notebooks, library, lock, README and what git tracks."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from samplevae_lib import cli, settings, theses

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "samplevae_lib"
MODULES = sorted(LIBRARY.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RECORDING = ("figure", "table", "claim")
UNFINISHED = re.compile(r"\b(TODO|FIXME)\b")
# Put together here, or this file would be the first to be found.
MACHINE_PATHS = ["/" + "work/", ".." + "/shared"]
# What is installed under another name, or comes along with what is asked for.
COMES_WITH = {
    "sklearn": "scikit-learn", "umap": "umap-learn", "PIL": "matplotlib", "cycler": "matplotlib",
    "IPython": "jupyterlab", "nbformat": "nbconvert", "requests": "pooch", "scipy": "librosa",
    "packaging": "pooch", "chromaprint": "pyacoustid",
    "threadpoolctl": "scikit-learn", "traitlets": "ipywidgets",
}  # fmt: skip

each_module = pytest.mark.parametrize(
    "module", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix()
)
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def cells(notebook: Path, kind: str) -> list:
    return [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == kind]


def code(notebook: Path) -> ast.Module:
    """All code cells as one text."""
    return ast.parse("\n".join(cell.source for cell in cells(notebook, "code")))


def calls(tree: ast.AST, names: tuple[str, ...]) -> list[ast.Call]:
    """Calls of these methods of `run`."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in {("run", name) for name in names}
    ]


def name_of(module: Path) -> str:
    parts = module.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(module: Path) -> set[str]:
    """The modules of this library that a module imports when it is itself imported."""
    known = {name_of(path) for path in MODULES}
    names: set[str] = set()
    waiting: list[ast.AST] = list(ast.parse(module.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            # The package itself is only needed where something else than its modules is.
            names |= (inside & known) | ({node.module} if inside - known else set())
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return names & known - {name_of(module)}


# The house from the top floor to the ground: a room imports from rooms further down alone.
FLOORS = (
    "__main__", "cli", "runner", "experiment", "library", "sorting", "inversion", "training",
    "widgets", "plots", "sample_map", "propagation", "models", "weights", "metrics", "datasets",
    "theses", "settings", "provenance", "cache", "audio", "spectral", "progress", "files", "ready",
    "paths",
)  # fmt: skip


def every_import(module: Path) -> set[str]:
    """The modules of this library that a module imports anywhere, but for type checking."""
    known = {name_of(path) for path in MODULES}
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(module.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{a.name}" for a in node.names}
        waiting += ast.iter_child_nodes(node)
    return names & known - {"samplevae_lib"}


def room(name: str) -> str:
    """The room of a module: the folder or the file right below the package."""
    return name.split(".")[1] if "." in name else ""


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One way round, if there is any."""
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph[name]):
            if found := walk(other, [*trail, name]):
                return found
        done.add(name)
        return []

    return next(filter(None, (walk(name, []) for name in sorted(graph))), [])


def tracked() -> list[Path]:
    """What git tracks."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"git lists no files here: {done.stderr.strip()}")
    names = sorted(set(done.stdout.split("\0")) - {""})
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """A file's text; empty where it is a picture or another kind of bytes."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def readme() -> str:
    if not (path := ROOT / "README.md").exists():
        pytest.skip("README.md is not written yet")
    return path.read_text(encoding="utf-8")


def commands(program: str) -> list[list[str]]:
    """The arguments of every call of a program in README.md, in blocks and within lines."""
    text = readme()
    blocks = re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", text)
    split = (shlex.split(line, comments=True) for line in lines if program in line)
    words = program.split()
    found = []
    for line in split:
        starts = [i for i in range(len(line)) if line[i : i + len(words)] == words]
        found += [line[start + len(words) :] for start in starts]
    return found


def lock() -> list[str]:
    """The lines of requirements.lock that are not comments."""
    if not (path := ROOT / "requirements.lock").exists():
        pytest.skip("requirements.lock does not exist yet")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


# Notebooks.


def test_there_is_a_notebook_to_begin_with():
    assert "00_start_here" in [path.stem for path in NOTEBOOKS]


@each_notebook
def test_a_notebook_is_valid_and_its_cells_have_ids_of_their_own(notebook):
    loaded = nbformat.read(notebook, nbformat.NO_CONVERT)
    nbformat.validate(loaded)
    ids = [cell["id"] for cell in loaded.cells]
    assert len(set(ids)) == len(ids)


@each_notebook
def test_a_notebook_is_kept_without_outputs(notebook):
    for cell in cells(notebook, "code"):
        assert cell.outputs == [], cell.source
        assert cell.execution_count is None, cell.source


@each_notebook
def test_a_notebook_has_one_parameters_cell_with_profile_data_and_seed(notebook):
    tagged = [
        cell for cell in nbformat.read(notebook, 4).cells
        if "parameters" in cell.metadata.get("tags", [])
    ]  # fmt: skip
    assert [cell.cell_type for cell in tagged] == ["code"]
    assigned = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(tagged[0].source).body
        if isinstance(node, ast.Assign)
    }
    assert assigned.items() >= {"profile": "reference", "data": "auto", "seed": 0}.items()
    assert cells(notebook, "code")[0] == tagged[0]


@each_notebook
def test_no_code_cell_is_longer_than_twenty_lines(notebook):
    lengths = {cell["id"]: cell.source.count("\n") + 1 for cell in cells(notebook, "code")}
    assert {id: length for id, length in lengths.items() if length > 20} == {}


@each_notebook
def test_a_notebook_begins_with_its_title_and_question(notebook):
    first = nbformat.read(notebook, 4).cells[0]
    assert first.cell_type == "markdown"
    known = theses.notebook(notebook.stem)
    assert first.source.splitlines()[0].startswith("# ")
    assert known.title in first.source.splitlines()[0]
    assert known.question in first.source


@each_notebook
def test_a_notebook_ends_with_finishing_its_run(notebook):
    last = ast.parse(cells(notebook, "code")[-1].source)
    assert len(calls(last, ("finish",))) == 1
    assert len(calls(code(notebook), ("finish",))) == 1
    assert ast.unparse(last.body[-1]) == "run.finish()"


@each_notebook
def test_a_notebook_is_registered_and_starts_under_its_own_name(notebook):
    assert notebook.stem in {known.name for known in theses.notebooks().values()}
    started = [
        node
        for node in ast.walk(code(notebook))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("experiment.start")
    ]
    assert [ast.literal_eval(call.args[0]) for call in started] == [notebook.stem]
    given = {word.arg: ast.unparse(word.value) for word in started[0].keywords}
    assert given == {"profile": "profile", "data": "data", "seed": "seed"}


@each_notebook
def test_a_notebook_records_what_is_registered_for_it_and_nothing_else(notebook):
    number, tree = theses.notebook(notebook.stem).number, code(notebook)
    registered = {
        "claim": {claim.id for claim in theses.of_notebook(theses.claims(), number)},
        **{
            kind: {t.id for t in theses.of_notebook(theses.targets(), number) if kind in t.records}
            for kind in theses.RECORDS
        },
    }
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    for kind in RECORDING:
        firsts = [call.args[0] for call in calls(tree, (kind,))]
        written = {node.value for node in firsts if isinstance(node, ast.Constant)}
        assert written <= registered[kind], kind
        # An id may also come out of a loop over a list of ids.
        looped = any(not isinstance(node, ast.Constant) for node in firsts)
        assert registered[kind] <= (texts if looped else written), kind


def read_by_recipes(tree: ast.AST) -> set[str]:
    """The settings that modules of `training`, which a notebook hands its settings to, read."""
    modules = {
        LIBRARY / "training" / f"{alias.name}.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "samplevae_lib.training"
        for alias in node.names
    }
    return {
        node.attr
        for module in modules
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "settings"
    }


@each_notebook
def test_a_notebook_has_its_tables_in_the_settings_and_uses_no_setting_they_lack(notebook):
    number = notebook.stem[:2]
    tables = settings.read(ROOT / "notebooks" / "settings.toml")
    assert set(tables[number]) <= {"paper", "own", "reference", "smoke"}
    known = set(settings.load(number, "paper", file=ROOT / "notebooks" / "settings.toml"))
    used = {
        node.attr
        for node in ast.walk(code(notebook))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("settings", "run.settings", "sizes")
    } | {
        text
        for node in ast.walk(code(notebook))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "shaping"
        for text in ast.literal_eval(node.value)
    }
    used |= read_by_recipes(code(notebook)) & known
    assert used - known == set()
    assert known - used == set(), "settings that the notebook never uses"


# The library.


@each_module
def test_a_module_can_be_read_in_one_sitting_and_says_what_it_is(module):
    text = module.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 350
    assert (ast.get_docstring(tree) or "").strip() != ""
    # A package that is nothing but its docstring has no annotation to postpone.
    future = [ast.unparse(node) for node in tree.body[1:2]]
    assert future in ([], ["from __future__ import annotations"])


@each_module
def test_what_is_public_says_what_it_does(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


def test_no_module_is_named_after_having_no_name():
    vague = {"utils", "util", "helpers", "misc", "common"}
    assert [path for path in MODULES if vague & {path.stem, path.parent.name}] == []


def test_modules_import_each_other_in_no_circle():
    graph = {name_of(path): imported(path) for path in MODULES}
    assert "samplevae_lib.datasets" in graph["samplevae_lib.experiment.run"]
    assert circle(graph) == []


def test_every_room_stands_on_a_floor():
    assert {room(name_of(path)) for path in MODULES} - {""} == set(FLOORS)


@each_module
def test_a_module_imports_from_floors_below_its_own(module):
    own = room(name_of(module))
    others = {room(name) for name in every_import(module)} - {own}
    upward = [other for other in others if own and FLOORS.index(other) < FLOORS.index(own)]
    assert upward == []


@each_module
def test_no_function_or_class_has_the_name_of_its_module(module):
    defined = [
        node.name
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert module.stem not in defined
    # Nor does a folder's door hand on a function under the name of one of its modules.
    if module.name == "__init__.py":
        inside = {path.stem for path in module.parent.glob("*.py")}
        tree = ast.parse(module.read_text(encoding="utf-8"))
        handed = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module != name_of(module)
            for alias in node.names
        }
        assert inside & (handed | set(defined)) == set()


def test_a_circle_would_be_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("torch", "librosa", "matplotlib", "pandas", "numpy")
    program = f"import sys, samplevae_lib; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_nothing_is_left_to_do():
    files = [*MODULES, *(LIBRARY / "widgets").glob("*.*"), *NOTEBOOKS, ROOT / "README.md"]
    left = [path.name for path in files if path.exists() and UNFINISHED.search(text_of(path))]
    assert left == []


# The environment.


def test_the_lock_pins_every_line_and_names_nothing_twice():
    lines = lock()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.+!]+", line)] == []
    names = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert len(set(names)) == len(names)
    assert "torch==2.13.0" in lines


def asked_for() -> list[Requirement]:
    """What pyproject.toml asks for, all extras too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(text) for listed in lists for text in listed]


def test_every_dependency_is_pinned_at_a_version_it_allows():
    pinned = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lock())
    }
    for requirement in asked_for():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not in requirements.lock"
        assert requirement.specifier.contains(pinned[name], prereleases=True), str(requirement)


@each_module
def test_what_a_module_imports_is_asked_for(module):
    known = {canonicalize_name(requirement.name) for requirement in asked_for()}
    tops = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            tops |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            tops.add((node.module or "").partition(".")[0])
    foreign = tops - {"samplevae_lib"} - sys.stdlib_module_names
    assert {canonicalize_name(COMES_WITH.get(top, top)) for top in foreign} <= known


# The README.


def test_every_command_of_the_library_in_the_readme_exists():
    found = commands("python -m samplevae_lib")
    assert found, "README.md names no command of the library"
    for arguments in found:
        try:
            cli._parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"README.md: python -m samplevae_lib {shlex.join(arguments)}")


def run_all_options() -> set[str]:
    done = subprocess.run(
        [str(ROOT / "run_all.sh"), "--help"], capture_output=True, text=True, check=True
    )
    return set(re.findall(r"--[a-z-]+", done.stdout)) | {"--help"}


def library_options() -> set[str]:
    """What `python -m samplevae_lib run` takes."""
    run = cli._parser()._subparsers._group_actions[0].choices["run"]
    return set(re.findall(r"--[a-z-]+", run.format_help()))


def test_every_option_of_run_all_in_the_readme_exists():
    known, found = run_all_options(), commands("./run_all.sh")
    assert found, "README.md does not name ./run_all.sh"
    for arguments in found:
        options = {word for word in arguments if word.startswith("-")}
        assert options <= known, f"README.md: ./run_all.sh {shlex.join(arguments)}"
        if not options & {"--test", "--help"}:
            cli._parser().parse_args(["run", *arguments])


def test_every_option_that_the_readme_names_by_itself_exists():
    named = set(re.findall(r"`(--[a-z-]+)", readme()))
    assert "--only" in named
    assert named <= run_all_options() | library_options()


def test_what_run_all_explains_is_what_the_library_takes():
    assert run_all_options() - {"--test"} <= library_options()


def test_every_file_that_the_readme_links_to_is_there_or_made_by_a_run():
    links = [Path(link) for link in re.findall(r"\]\(([^)#:]+)\)", readme())]
    made = [link for link in links if link.match("figures/*/*")]
    assert [link for link in links if link not in made and not (ROOT / link).exists()] == []
    for link in made:
        number = theses.notebook(link.parent.name).number
        theses.target(link.stem.partition("_")[0], number)


# What git tracks.


def test_no_file_names_a_place_on_the_machine_it_was_made_on():
    for path in tracked():
        if path.relative_to(ROOT).parts[0] == ".ci":
            continue
        text = text_of(path)
        for place in MACHINE_PATHS:
            assert place not in text, path.relative_to(ROOT)
