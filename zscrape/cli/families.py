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
        "capsule": "zscrape.cli.capsules:capsule",
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
schedules = Family(
    "schedules",
    help="cli.schedules",
    params=common_options(),
    lazy={
        "add": "zscrape.cli.schedules:add",
        "list": "zscrape.cli.schedules:list_schedules",
        "show": "zscrape.cli.schedules:show",
        "pause": "zscrape.cli.schedules:pause",
        "resume": "zscrape.cli.schedules:resume",
        "trigger": "zscrape.cli.schedules:trigger",
        "remove": "zscrape.cli.schedules:remove",
        "occurrences": "zscrape.cli.schedules:occurrences",
    },
)
locks = Family(
    "locks",
    help="cli.locks",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.locks:list_locks",
        "break": "zscrape.cli.locks:break_lock",
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
keys = Family(
    "keys",
    help="cli.keys",
    params=common_options(),
    lazy={
        "create": "zscrape.cli.keys:create",
        "list": "zscrape.cli.keys:list_keys",
        "revoke": "zscrape.cli.keys:revoke",
    },
)
audit = Family(
    "audit",
    help="cli.audit",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.audit:list_audit",
        "export": "zscrape.cli.audit:export",
    },
)
token = Family(
    "token",
    help="cli.token",
    params=common_options(),
    lazy={
        "create": "zscrape.cli.token:create",
        "list": "zscrape.cli.token:list_tokens",
        "revoke": "zscrape.cli.token:revoke",
        "rotate-key": "zscrape.cli.token:rotate_key",
        "prepare": "zscrape.cli.preparing:prepare",
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
        "remove": "zscrape.cli.workers:remove",
        "revoke": "zscrape.cli.workers:revoke",
    },
)
handoffs = Family(
    "handoffs",
    help="cli.handoffs",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.handoffs:list_handoffs",
        "show": "zscrape.cli.handoffs:show",
        "answer": "zscrape.cli.handoffs:answer",
        "dismiss": "zscrape.cli.handoffs:dismiss",
    },
)
sessions = Family(
    "sessions",
    help="cli.sessions",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.sessions:list_sessions",
        "show": "zscrape.cli.sessions:show",
        "import": "zscrape.cli.sessions:import_cookies",
        "grant": "zscrape.cli.sessions:grant",
        "remove": "zscrape.cli.sessions:remove",
    },
)
state = Family(
    "state",
    help="cli.state",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.state:list_state",
        "get": "zscrape.cli.state:get",
        "set": "zscrape.cli.state:set_state",
        "remove": "zscrape.cli.state:remove",
        "keys": "zscrape.cli.state:keys",
        "forget": "zscrape.cli.state:forget",
    },
)
secrets = Family(
    "secrets",
    help="cli.secrets",
    params=common_options(),
    lazy={
        "set": "zscrape.cli.secrets:set_secret",
        "list": "zscrape.cli.secrets:list_secrets",
        "remove": "zscrape.cli.secrets:remove_secret",
    },
)
sites = Family(
    "sites",
    help="cli.sites",
    params=common_options(),
    lazy={
        "list": "zscrape.cli.sites:list_sites",
        "set": "zscrape.cli.sites:set_site",
        "remove": "zscrape.cli.sites:remove_site",
    },
)
