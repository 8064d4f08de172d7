"""`ziggurat db` looks after the app and the store that `ziggurat run` would serve."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import cli

APP = """
from uuid import UUID
from ziggurat import Model, Ziggurat

class User(Model):
    id: UUID
    name: str

def make() -> Ziggurat:
    app = Ziggurat(store="sqlite:///own.db")
    app.crud(User)(type("Users", (), {}))
    return app
"""
SETTINGS = 'app = "shop:make"\nfactory = true\napp-dir = "src"\nstore = "sqlite:///served.db"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "shop.py").write_text(APP)
    (tmp_path / "ziggurat.toml").write_text(SETTINGS)
    return tmp_path


def test_what_is_served_is_planned_applied_copied_and_backed_up(project: Path) -> None:
    plan = cli(project, "db", "plan")
    assert plan.returncode == 3, plan.stderr
    assert "served.db" in plan.stdout and "`ziggurat db apply`" in plan.stdout
    done = cli(project, "db", "apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert (project / "served.db").exists() and not (project / "own.db").exists()
    assert cli(project, "db", "plan").stdout == "sqlite served.db: nothing to do\n"
    copied = cli(project, "db", "copy", "sqlite:///other.db")
    assert copied.returncode == 0 and "User: 0 rows copied" in copied.stdout, copied.stderr
    backed_up = cli(project, "db", "backup", "copy.db")
    assert backed_up.returncode == 0 and "copy.db: " in backed_up.stdout, backed_up.stderr
    assert not (project / "own.db").exists()


def test_flags_and_the_environment_are_stronger_than_the_file(project: Path) -> None:
    flags = ("shop:make", "--factory", "--app-dir", "src", "--store", "sqlite:///flag.db")
    assert "flag.db" in cli(project, "db", "plan", *flags).stdout
    assert "environment.db" in cli(project, "db", "plan", ZIGGURAT_STORE="sqlite:///environment.db").stdout
    (project / "ziggurat.toml").unlink()
    assert "own.db" in cli(project, "db", "plan", *flags[:4]).stdout
    none = cli(project, "db", "plan")
    assert none.returncode == 1 and "no app is named" in none.stderr
