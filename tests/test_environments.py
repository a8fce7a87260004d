"""pyproject.toml, pixi.toml and environment.yml ask for the same packages, each in its registry's name."""

import re
import tomllib
from pathlib import Path

import yaml

TOP = Path(__file__).parents[1]
NOT_IN_CONDA = {"nvrtc", "cuda"}  # extras that pip alone offers; conda users add cupy themselves
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "playwright": "playwright-python"}
ONLY_CONDA = {"pip": "*"}


def project() -> dict[str, object]:
    return tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def split(spec: str) -> tuple[str, str]:
    name, rule = re.fullmatch(r"([\w.-]+)\s*([<>=!~].*|)", spec.split(";")[0].strip()).groups()
    return name, rule or "*"


def from_pyproject() -> dict[str, str]:
    """What pyproject asks for, in conda's names."""
    meta = project()
    specs = list(meta["dependencies"])
    for extra, members in meta["optional-dependencies"].items():
        if extra not in NOT_IN_CONDA:
            specs += members
    pairs = [split(spec) for spec in specs]
    asked = {CONDA_NAMES.get(name, name): rule for name, rule in pairs}
    return asked | {"python": meta["requires-python"]} | ONLY_CONDA


def test_pixi_asks_for_what_pyproject_does() -> None:
    pixi = tomllib.loads((TOP / "pixi.toml").read_text())
    assert pixi["dependencies"] == from_pyproject()
    assert pixi["pypi-dependencies"]["workshop"] == {"path": ".", "editable": True}
    assert {"lab": "workshop lab", "test": "workshop test"}.items() <= pixi["tasks"].items()


def test_conda_asks_for_what_pyproject_does() -> None:
    environment = yaml.safe_load((TOP / "environment.yml").read_text())
    specs = [spec for spec in environment["dependencies"] if isinstance(spec, str)]
    assert dict(split(spec) for spec in specs) == from_pyproject()
    assert environment["dependencies"][-1] == {"pip": ["--editable ."]}


def test_uv_run_gets_every_extra_that_make_lab_installs() -> None:
    groups = tomllib.loads((TOP / "pyproject.toml").read_text())["dependency-groups"]
    listed = re.search(r"BASE_EXTRAS = \[(.*)\]", (TOP / "bootstrap.py").read_text())[1]
    extras = listed.replace('"', "").replace(" ", "")
    assert groups["dev"] == [f"workshop[{extras}]"]


def test_the_pinned_torch_is_one_that_pyproject_allows() -> None:
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (TOP / "constraints.txt").read_text(), re.MULTILINE))
    lowest = dict(split(spec) for spec in project()["optional-dependencies"]["torch"])["torch"]
    assert [int(part) for part in pins["torch"].split(".")] >= [int(part) for part in lowest[2:].split(".")]


def test_one_python_version_everywhere() -> None:
    tools = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]
    assert project()["requires-python"] == ">=3.11"
    assert tools["mypy"]["python_version"] == "3.11" and tools["ruff"]["target-version"] == "py311"
    assert "sys.version_info < (3, 11)" in (TOP / "bootstrap.py").read_text()
