"""`--json` of every verb: what stands on standard output is JSON and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.conftest import Cluster, Zscrape
from zscrape.cli import main
from zscrape.client import Client

# Verbs that print no data of their own, or whose tests hold them to it elsewhere.
ELSEWHERE = {
    "demo",  # test_demo: lines, one for each step
    "up",  # test_serving: a line when it is ready
    "gateway",
    "bundle",  # deployment/test_bundle: an archive of every package
    "smoke",  # test_smoke: minutes of work
    "seed",
    "batch",  # test_batch: the summary
    "backup",  # test_storage: no gateway may run
    "restore",
    "scripts publish",  # test_publishing: it writes to a repository
    "scripts sign",
    "tasks capsule",  # test_capsules: it needs a failure with a recording
    "top",  # test_top
    "handoffs answer",  # test_handoffs: somebody must ask
    "handoffs show",
    "handoffs dismiss",
    "workers remove",  # test_workers: the others' worker would be gone
    "workers revoke",
    "token rotate-key",
}
# Of this machine nothing is changed.
SERVICE = ["--name", "zscrape-json", "--user", "--init", "systemd", "--dry-run"]


def verbs(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every verb with its family's name."""
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from verbs(inner, (*path, name))


def calls(folder: Path, cluster: Cluster, task: str) -> list[tuple[str, list[Any], int | None]]:
    """Return verbs with what follows them, and the code that they end with; None: any."""
    script, cookies, secret = folder / "mine", folder / "cookies.json", folder / "secret.txt"
    secret.write_text("value")
    cookies.write_text(json.dumps([{"name": "a", "value": "b", "domain": "site.test"}]))
    return [
        ("run", ["steps", "-p", "count=1"], 0),
        ("run", ["steps", "-p", "count=0", "-p", "fail=true"], 1),
        ("run", ["none"], 3),
        ("tasks list", [], 0),
        ("tasks show", [task], 0),
        ("tasks show", ["none"], 3),
        ("tasks logs", [task], 0),
        ("tasks explain", [task], 0),
        ("tasks cancel", [task], 0),
        ("tasks retry", [task], 0),
        ("tasks export", ["--limit", "1"], 0),
        ("deadletters list", [], 0),
        ("deadletters retry", ["--all"], 0),
        ("deadletters drop", ["--all"], 0),
        ("handoffs list", [], 0),
        ("schedules add", ["nightly", "steps", "--cron", "0 3 * * *"], 0),
        ("schedules list", [], 0),
        ("schedules show", ["nightly"], 0),
        ("schedules pause", ["nightly"], 0),
        ("schedules resume", ["nightly"], 0),
        ("schedules trigger", ["nightly"], 0),
        ("schedules occurrences", ["nightly"], 0),
        ("schedules remove", ["nightly"], 0),
        ("locks list", [], 0),
        ("locks break", ["none"], 3),
        ("scripts list", [], 0),
        ("scripts new", [script], 0),
        ("scripts check", [script], 0),
        ("scripts verify", ["steps", "--home", folder], 1),
        ("scripts cleanup", [], 0),
        ("scripts refresh", [], 0),
        ("scripts prefetch", ["steps"], 0),
        ("scripts promote", ["steps@1.0.0", "beta"], 0),
        ("scripts rollback", ["steps", "beta"], 3),
        ("health", [], None),  # a machine with much to do may look dead for a moment
        ("worker install", ["--join", cluster.link, *SERVICE], 0),
        ("worker uninstall", SERVICE, 0),
        ("workers list", [], 0),
        ("workers drain", [cluster.worker_id], 0),
        ("workers resume", [cluster.worker_id], 0),
        ("dashboard", [], 0),
        ("keys create", ["--name", "few", "--scope", "read"], 0),
        ("keys list", [], 0),
        ("keys revoke", ["none"], 3),
        ("audit list", [], 0),
        ("audit export", [], 0),
        ("token create", [], 0),
        ("token prepare", [folder / "prepared", "--address", "tcp://127.0.0.1:5555"], 0),
        ("token list", [], 0),
        ("token revoke", ["none"], 3),
        ("secrets set", ["name", "--from-file", secret, "--script", "steps"], 0),
        ("secrets list", [], 0),
        ("secrets remove", ["name"], 0),
        ("sessions import", ["site.test", "me", cookies], 0),
        ("sessions list", [], 0),
        ("sessions show", ["site.test", "me"], 0),
        ("sessions grant", ["site.test", "me", "--script", "steps"], 0),
        ("sessions remove", ["site.test", "me"], 0),
        ("sites set", ["site.test", "--rate", "1/s"], 0),
        ("sites list", [], 0),
        ("sites remove", ["site.test"], 0),
        ("state set", ["steps", "k", "1"], 0),
        ("state get", ["steps", "k"], 0),
        ("state list", ["steps"], 0),
        ("state remove", ["steps", "k"], 0),
        ("state keys", ["steps"], 0),
        ("state forget", ["steps", "--all"], 0),
        ("completion", ["bash"], 0),
        ("doctor", ["--config"], 0),
    ]


def test_standard_output_is_json_alone(
    on_cluster: Zscrape, cluster: Cluster, tmp_path: Path
) -> None:
    """Each verb ends as it should and prints documents, also when it fails."""
    with Client(home=cluster.home) as client:
        task = client.run("steps", {"count": 1}).id
    seen: set[str] = set()
    wrong: dict[str, str] = {}
    for verb, more, code in calls(tmp_path, cluster, task):
        seen.add(verb)
        result = on_cluster(*verb.split(), *more, "--json")
        fault = fault_of(result.stdout)
        if fault or (code is not None and result.exit_code != code):
            told = f"{verb} {' '.join(map(str, more))}"
            wrong[told] = f"{result.exit_code}: {fault} {result.output[:500]}"

    assert wrong == {}
    assert set(verbs(main)) - ELSEWHERE == seen


def fault_of(output: str) -> str:
    """Return why an output is neither one document nor one on each line; empty: it is."""
    try:
        json.loads(output)
    except ValueError as whole:
        try:
            documents = [json.loads(line) for line in output.splitlines()]
        except ValueError:
            return str(whole)
        return "" if documents else "nothing was printed"
    return ""


def test_every_verb_takes_json() -> None:
    """A program need not know which verbs do."""
    without = []
    for verb in verbs(main):
        command: click.Command = main
        for name in verb.split():
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), name)
            assert found is not None
            command = found
        if not any("--json" in parameter.opts for parameter in command.params):
            without.append(verb)

    assert without == []


@pytest.mark.parametrize(
    ("output", "is_json"),
    [("{}\n", True), ("1\n2\n", True), ("", False), ("Done.\n", False), ("{}\nDone.\n", False)],
)
def test_what_counts_as_json(output: str, is_json: bool) -> None:
    """The measure itself tells words from documents."""
    assert bool(fault_of(output)) is not is_json
