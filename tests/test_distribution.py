"""What is handed out fits together: versions, the container's files, the licence, what constraints.txt pins."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

import selfpose6d

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    """Instructions as words; lines that go on are joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def copied(dockerfile: list[list[str]]) -> list[str]:
    return [source for words in dockerfile if words[0] == "COPY" for source in words[1:-1]]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == selfpose6d.__version__ == citation["version"]
    assert PROJECT["license"] == citation["license"]


def test_the_citation_names_the_paper_of_the_readme():
    (paper,) = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert paper["title"] in readme
    assert ", ".join(f"{one['given-names'][0]}. {one['family-names']}" for one in paper["authors"]) in readme


def test_the_container_copies_files_that_are_there_and_not_ignored(dockerfile):
    rules = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#*"
    ]
    kept = [rule.removeprefix("!") for rule in rules]
    assert len(copied(dockerfile)) > 5
    for source in copied(dockerfile):
        assert (ROOT / source).exists()
        assert any(fnmatch(source.removeprefix("./"), rule) for rule in kept)


def test_the_container_copies_what_its_commands_read(dockerfile):
    commands = " ".join(" ".join(words) for words in dockerfile if words[0] in ("RUN", "CMD"))
    assert "constraints.txt" in commands
    for name in (
        "constraints.txt",
        "pyproject.toml",
        PROJECT["readme"],
        *PROJECT["license-files"],
        "Makefile",
        "examples",
    ):
        assert name in copied(dockerfile)


def test_the_container_runs_a_target_of_the_makefile_in_a_python_that_fits(dockerfile):
    (command,) = [" ".join(words[1:]) for words in dockerfile if words[0] == "CMD"]
    target = re.findall(r'"([\w-]+)"', command)[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (version,) = [
        words[1].split("=")[1]
        for words in dockerfile
        if words[:1] == ["ARG"] and "PYTHON_VERSION" in words[1]
    ]
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_pages_build_the_container_with_arguments_that_it_has(dockerfile):
    arguments = {words[1].split("=")[0] for words in dockerfile if words[0] == "ARG"}
    pages = [
        (ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", "README.md", "docs/index.md")
    ]
    named = {name for page in pages for name in re.findall(r"--build-arg (\w+)=", page)}
    assert named
    assert named <= arguments


def test_a_python_that_is_not_here_is_said_and_no_failure():
    command = [str(ROOT / ".ci" / "test-other-pythons"), "torch", "3.99"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "Python 3.99: not tested, there is none here\n"


def test_the_makefile_names_its_targets_in_its_first_lines():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    assert set(targets.split()) <= set(re.findall(r"[\w-]+", text.split(":", 1)[0]))


def test_every_required_package_is_pinned():
    pinned = re.findall(
        r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    extras = PROJECT["optional-dependencies"]
    required = [*PROJECT["dependencies"], *extras["docs"], *extras["dev"]]
    required = [one for one in required if not one.startswith("selfpose6d[")]
    required += [*extras["export"], *extras["viewer"], *extras["record"], *extras["step"]]
    wanted = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", one)[0]).lower() for one in required}
    assert sorted(wanted - names) == []
