"""The verbs of one noun: `tasks list`, `scripts new`, `workers drain`.

They stand apart from the package: there, importing `zscrape.cli.tasks` would put the module
in the place of the family of the same name.
"""

from __future__ import annotations

from zscrape.cli.verbs import Family, common_options

tasks = Family(
    "tasks",
    help="cli.tasks",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.tasks:list_tasks",
        "show": "zscrape.cli.tasks:show",
        "logs": "zscrape.cli.tasks:logs",
        "cancel": "zscrape.cli.tasks:cancel",
        "retry": "zscrape.cli.tasks:retry",
        "export": "zscrape.cli.export:export",
        "explain": "zscrape.cli.tasks:explain",
    },
)
deadletters = Family(
    "deadletters",
    help="cli.deadletters",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.deadletters:list_letters",
        "retry": "zscrape.cli.retrying:retry",
        "drop": "zscrape.cli.deadletters:drop",
    },
)
scripts = Family(
    "scripts",
    help="cli.scripts",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.scripts:list_scripts",
        "new": "zscrape.cli.scripts:new",
        "check": "zscrape.cli.scripts:check",
        "publish": "zscrape.cli.publishing:publish",
        "sign": "zscrape.cli.publishing:sign",
        "verify": "zscrape.cli.publishing:verify",
        "cleanup": "zscrape.cli.publishing:cleanup",
        "refresh": "zscrape.cli.catalogue:refresh",
        "prefetch": "zscrape.cli.catalogue:prefetch",
        "promote": "zscrape.cli.catalogue:promote",
        "rollback": "zscrape.cli.catalogue:roll_back",
    },
)
workers = Family(
    "workers",
    help="cli.workers",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.workers:list_workers",
        "drain": "zscrape.cli.workers:drain",
        "resume": "zscrape.cli.workers:resume",
    },
)
