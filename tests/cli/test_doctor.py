"""`doctor`: what works here, and where each setting came from."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.conftest import Cluster, Zscrape


def test_doctor_of_a_healthy_machine_is_0(on_cluster: Zscrape, cluster: Cluster) -> None:
    """With a gateway and a worker running nothing is broken."""
    document = on_cluster.json("doctor")

    status_by_name = {check["name"]: check["status"] for check in document["checks"]}
    assert document["ok"] is True
    assert status_by_name["gateway"] == status_by_name["workers"] == "ok"
    assert status_by_name["client_file"] == "ok"
    assert {"python", "platform", "home", "http", "link", "programs"} <= status_by_name.keys()


def test_doctor_tells_what_builds_environments(zscrape: Zscrape) -> None:
    """The version of uv and the interpreters that scripts may ask for are shown."""
    checks = {check["name"]: check for check in zscrape.json("doctor")["checks"]}

    assert checks["uv"]["status"] == "ok"
    assert re.match(r"uv \d+\.\d+", checks["uv"]["detail"])
    assert re.search(r"3\.\d+\.\d+ \(/", checks["interpreters"]["detail"])


def test_doctor_without_a_gateway_only_warns(zscrape: Zscrape) -> None:
    """A gateway that was never started is no fault of this machine."""
    result = zscrape("doctor", "--lang", "ko")

    assert result.exit_code == 0
    assert "게이트웨이를 알 수 없습니다" in result.stdout


def test_silent_gateway_is_a_warning(zscrape: Zscrape) -> None:
    """A gateway that does not answer is told with its address."""
    zscrape.environ |= {"ZSCRAPE_URL": "http://127.0.0.1:1", "ZSCRAPE_API_KEY": "k"}

    checks = {check["name"]: check for check in zscrape.json("doctor")["checks"]}

    assert checks["gateway"]["status"] == "warning"
    assert "127.0.0.1:1" in checks["gateway"]["detail"]


def test_refused_key_is_broken(zscrape: Zscrape, cluster: Cluster) -> None:
    """A key that the gateway does not know must be mended."""
    zscrape.environ |= {"ZSCRAPE_URL": cluster.http, "ZSCRAPE_API_KEY": "wrong"}

    document = zscrape.json("doctor", code=1)

    assert document["ok"] is False


def test_open_key_file_is_broken(zscrape: Zscrape, tmp_path: Path) -> None:
    """A key that others can read must be mended."""
    path = tmp_path / "home" / "client.toml"
    path.parent.mkdir()
    path.write_text('url = "http://127.0.0.1:1"\nkey = "k"\n', encoding="utf-8")
    path.chmod(0o644)

    result = zscrape("doctor")

    assert result.exit_code == 1
    assert "mode 0644" in result.stdout
    assert "Broken: 1" in result.stderr


def test_home_that_is_a_file_is_broken(zscrape: Zscrape, tmp_path: Path) -> None:
    """A home folder that cannot be written is told with the way out."""
    zscrape.environ["ZSCRAPE_HOME"] = "/proc/zscrape"

    result = zscrape("doctor")

    assert result.exit_code == 1
    assert "--home" in result.stdout


def test_missing_repository_is_broken_when_it_was_asked_for(
    zscrape: Zscrape, tmp_path: Path
) -> None:
    """A folder of scripts that was named must be there; the default one is made at need."""
    default = {check["name"]: check for check in zscrape.json("doctor")["checks"]}
    zscrape.environ["SCRIPT_REPOSITORY_URL"] = str(tmp_path / "none")
    named = {check["name"]: check for check in zscrape.json("doctor", code=1)["checks"]}

    assert default["repository scripts"]["status"] == "warning"
    assert named["repository scripts"]["status"] == "broken"


def test_unknown_variable_is_a_warning(zscrape: Zscrape) -> None:
    """A slip in a variable's name is told with the name that was meant."""
    zscrape.environ["ZSCRAPE_HTPP"] = "x"

    assert "ZSCRAPE_HTTP" in zscrape("doctor").stdout


def test_config_shows_values_and_sources_and_no_secret(zscrape: Zscrape, tmp_path: Path) -> None:
    """Every setting is shown with where it came from; a secret is masked."""
    path = tmp_path / "z.toml"
    path.write_text("[worker]\nslots = 3\n[scripts.steps]\ntimeout_s = 5\n", encoding="utf-8")
    zscrape.environ["ZSCRAPE_API_KEY"] = "secret-0123456"

    shown = zscrape("doctor", "--config", "--file", path)
    document = zscrape.json("doctor", "--config", "--file", path)

    settings = {each["name"]: each for each in document["settings"]}
    assert settings["worker.slots"] == {
        "name": "worker.slots",
        "value": 3,
        "source": f"{path}: worker.slots",
        "environment": "ZSCRAPE_SLOTS",
    }
    assert settings["gateway.api_key"]["source"] == "ZSCRAPE_API_KEY"
    assert "secret-0123456" not in shown.stdout + str(document)
    assert "scripts.steps" in settings


def test_what_would_be_refused_at_the_start_is_told(zscrape: Zscrape, tmp_path: Path) -> None:
    """Everything for which a gateway would not start is told at once, with the next step."""
    key = tmp_path / "home" / "secrets.key"
    key.parent.mkdir()
    key.write_text("x")
    key.chmod(0o644)
    zscrape.environ |= {"ZSCRAPE_WEBHOOK_SECRET": "changeme", "ZSCRAPE_HTTP": "0.0.0.0:0"}

    told = zscrape("doctor", "--lang", "ko")

    assert told.exit_code == 1
    assert "ZSCRAPE_WEBHOOK_SECRET" in told.stdout
    assert "openssl rand" in told.stdout
    assert f"chmod 600 {key}" in told.stdout
    assert "changeme" not in told.stdout
