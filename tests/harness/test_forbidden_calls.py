"""No file that someone else may have written is ever executed: no pickle, no unsafe loader, no shell, no eval."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"}
CALLS = {
    "eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "joblib.load", "joblib.dump",
    "pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "torch.load", "torch.save",
    "xml.etree.ElementTree.parse",
}  # fmt: skip
METHODS = {"to_pickle", "read_pickle"}
FLAGS = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "weights_only": False}
FILES = sorted(path for name in ("harness", "baselines", "methods", "conf") for path in (ROOT / name).rglob("*.py"))


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"line {node.lineno}: import {name}" for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in CALLS or name.rpartition(".")[2] in METHODS:
                found.append(f"line {node.lineno}: {name}()")
            if name in ("np.load", "numpy.load") and not any(k.arg == "allow_pickle" for k in node.keywords):
                found.append(f"line {node.lineno}: np.load() does not say allow_pickle=False")
            for keyword in node.keywords:
                if keyword.arg in FLAGS and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is not FLAGS[keyword.arg]
                ):
                    found.append(f"line {node.lineno}: {keyword.arg}={ast.unparse(keyword.value)}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_evaluated_or_given_to_a_shell(path):
    assert offences(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from cloudpickle import loads", "torch.load(p)", "np.load(p)", "np.load(p, allow_pickle=True)",
     "subprocess.run(c, shell=True)", "subprocess.run(c, shell=asked)", "frame.to_pickle(p)", "yaml.load(t)", "eval(t)"],
)  # fmt: skip
def test_the_check_finds_what_it_looks_for(code):
    assert offences(ast.parse(code))
