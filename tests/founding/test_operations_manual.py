"""The checklist of the operations manual, line by line.

Its scripts belong to another product; its standard is that of our operational verbs.
"""

from __future__ import annotations

from typing import Any

import click
import pytest

from tests.founding.checklist import ROOT, held_by
from zscrape.cli import main

VERBS = ("batch", "smoke", "seed", "deadletters retry", "scripts cleanup", "scripts verify")


def options_of(verb: str) -> dict[str, click.Parameter]:
    """Return the options of a verb by their names."""
    command: click.Command = main
    ctx = click.Context(main)
    for word in verb.split():
        assert isinstance(command, click.Group)
        found = command.get_command(ctx, word)
        assert found is not None
        command = found
    return {name: each for each in command.params for name in each.opts}


# ---- 2 common principles -------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "option",
    ["--dry-run", "--limit", "--fail-fast", "--json-output", "--verbose", "--timeout-sec"],
)
def test_2_1_common_options(verb: str, option: str) -> None:
    """2.1: every verb has the common options."""
    assert option in options_of(verb)


@pytest.mark.parametrize("verb", ["batch", "deadletters retry"])
def test_2_1_organisations_are_groups(verb: str) -> None:
    """2.1: where targets belong to somebody, one or several of them can be chosen."""
    option = options_of(verb)["--group"]

    assert isinstance(option, click.Option)
    assert option.multiple
    held_by(
        "cli/test_batch.py::test_groups_choose_among_targets",
        "cli/test_deadletters.py::test_groups_of_a_batch_choose_dead_letters",
    )


def test_2_1_what_the_options_do() -> None:
    """2.1: a dry run writes nothing, a limit bounds, fail-fast and the time limit stop."""
    held_by(
        "ops/test_operation.py::test_dry_run_leaves_nothing_behind",
        "cli/test_batch.py::test_dry_run_changes_nothing",
        "ops/test_operation.py::test_fail_fast_and_limit_leave_the_rest_unreached",
        "cli/test_batch.py::test_fail_fast_begins_nothing_more",
        "ops/test_operation.py::test_time_limit_begins_nothing_more",
        "cli/test_batch.py::test_time_limit_cancels_what_is_under_way",
        "cli/test_operational.py::test_manual_2_1_files_are_written_whatever_the_end",
    )


def test_2_2_exit_codes() -> None:
    """2.2: 0 all succeeded, 1 fatal, 2 some failed, 3 bad input or environment."""
    held_by(
        "cli/test_operational.py::test_manual_2_2_exit_codes",
        "ops/test_summary.py::test_manual_2_2_the_ending_is_counted_from_targets",
    )


def test_2_3_summary_schema() -> None:
    """2.3: the summary has the standard fields."""
    held_by("ops/test_summary.py::test_manual_2_3_summary_has_the_standard_schema")


def test_2_4_a_the_same_input_is_not_applied_twice() -> None:
    """2.4: the same input again does not apply twice."""
    held_by(
        "cli/test_batch.py::test_interrupted_run_is_taken_up",
        "cli/test_batch.py::test_twins_are_run_once",
        "cli/test_batch.py::test_what_failed_is_tried_again_and_what_is_done_is_not",
    )


def test_2_4_b_run_lock() -> None:
    """2.4: a run takes a lock `script:<name>:<scope>:<yyyy-mm-dd-hh>`."""
    held_by(
        "ops/test_operation.py::test_manual_2_4_a_second_run_of_the_scope_does_not_start",
        "ops/test_operation.py::test_lock_key_is_the_manual_s_and_outlives_its_hour",
        "ops/test_operation.py::test_lock_is_free_when_its_holder_is_killed",
    )


def test_2_4_c_a_second_run_ends_with_3() -> None:
    """2.4: who does not get the lock ends with 2 or 3; we say 3."""
    held_by(
        "cli/test_batch.py::test_manual_2_4_second_run_of_the_same_targets_is_3",
        "cli/test_operational.py::test_second_run_with_the_lock_held_is_3",
    )


def test_2_5_each_target_has_its_own_end() -> None:
    """2.5: what one target fails at is kept apart, collected, and the next one begins."""
    held_by(
        "ops/test_operation.py::test_manual_3_1_a_failing_target_stops_no_other",
        "cli/test_batch.py::test_targets_that_do_not_fit_stop_no_other",
    )


def test_2_6_log_lines() -> None:
    """2.6: logs are JSON lines with the required fields; INFO and DEBUG are apart."""
    held_by("ops/test_operation.py::test_manual_2_6_log_lines_have_the_required_fields")


# ---- 3 script by script --------------------------------------------------------------


def test_3_1_a_dry_run_counts_what_it_would_do() -> None:
    """3.1: a dry run tells how much would be done, not only of what."""
    held_by("cli/test_batch.py::test_dry_run_changes_nothing")


def test_3_1_b_a_run_has_an_id_for_the_audit() -> None:
    """3.1: every run has an id, which its tasks and its log bear."""
    held_by(
        "ops/test_summary.py::test_run_id_is_the_moment_and_four_digits",
        "cli/test_batch.py::test_interrupted_run_is_taken_up",
    )


def test_3_1_done_1_again_in_a_row_nothing_is_done_twice() -> None:
    """3.1, done when: the same target in a row has its effect once."""
    held_by("cli/test_batch.py::test_interrupted_run_is_taken_up")


def test_3_1_done_2_of_100_some_fail() -> None:
    """3.1, done when: of 100 targets some fail, and the others go on."""
    held_by("cli/test_batch.py::test_manual_3_1_a_hundred_targets_of_which_seven_fail")


def test_3_1_done_3_the_summary_names_who_failed() -> None:
    """3.1, done when: the file of the summary tells which targets failed."""
    held_by("cli/test_batch.py::test_manual_3_1_a_hundred_targets_of_which_seven_fail")


@pytest.mark.parametrize("option", ["--profile", "--prefix", "--count", "--cleanup"])
def test_3_2_seed_has_parameters(option: str) -> None:
    """3.2: nothing is fixed in the code: profile, prefix and counts are options."""
    assert option in options_of("seed")


def test_3_2_done_idempotent_and_cleaned_up() -> None:
    """3.2, done when: again with the same parameters adds nothing, and a cleanup removes all."""
    held_by(
        "cli/test_smoke.py::test_manual_3_2_seed_is_idempotent_and_cleans_up",
        "cli/test_smoke.py::test_seed_leaves_alone_what_others_have_made",
    )


def test_3_2_done_a_pipeline_can_read_it() -> None:
    """3.2, done when: the output of a pipeline is a summary in JSON, moments in UTC."""
    held_by(
        "cli/test_operational.py::test_json_is_the_summary_and_what_the_verb_adds",
        "ops/test_summary.py::test_manual_2_3_summary_has_the_standard_schema",
    )


@pytest.mark.parametrize("option", ["--json-output", "--junit-output", "--keep-test-data"])
def test_3_3_options_of_smoke(option: str) -> None:
    """3.3: smoke writes JSON and JUnit, and may leave its test data."""
    assert option in options_of("smoke")


def test_3_3_cases_are_functions_of_their_own() -> None:
    """3.3: each case is a function, found and chosen by its name."""
    from zscrape.ops.smoke.cases import CASES

    functions: list[Any] = list(CASES.values())
    assert len(set(map(id, functions))) == len(CASES) >= 8


def test_3_3_a_failure_is_diagnosed() -> None:
    """3.3: a failed case says the request, the answer's code and what was expected."""
    held_by("cli/test_smoke.py::test_manual_3_3_a_failure_says_request_answer_and_expectation")


def test_3_3_done_junit_is_read_by_a_parser() -> None:
    """3.3, done when: a pipeline shows the report, one file is enough to see what failed."""
    held_by(
        "cli/test_smoke.py::test_manual_3_3_a_sound_installation_passes",
        "ops/test_summary.py::test_junit_report_names_every_target",
    )


def test_3_3_done_a_failed_cleanup_is_told() -> None:
    """3.3, done when: a cleanup that fails says why, with a clear exit code."""
    held_by(
        "cli/test_smoke.py::test_manual_3_3_cleaning_up_that_fails_is_told",
        "cli/test_smoke.py::test_test_data_is_kept_when_asked",
    )


# ---- 5 automation --------------------------------------------------------------------


def test_5_1_a_dry_run_says_what_the_run_does() -> None:
    """5.1: what a dry run tells is what the run then does; runs again are safe."""
    held_by(
        "cli/test_batch.py::test_dry_run_changes_nothing",
        "cli/test_deadletters.py::test_limit_and_dry_run_of_a_retry",
    )


def test_5_2_pipelines() -> None:
    """5.2: the smoke test, the nightly batch and the artifacts stand in a workflow."""
    held_by(
        "ops/test_examples.py::test_manual_5_2_workflow_runs_what_there_is",
        "ops/test_examples.py::test_manual_9_7_workflow_keeps_reports_whatever_happens",
    )


def test_5_3_schedulers_of_the_system() -> None:
    """5.3: cron and systemd begin it on time, failures are told, it runs once at a time."""
    held_by(
        "ops/test_examples.py::test_cron_lines_parse",
        "ops/test_examples.py::test_systemd_verifies_the_units",
        "ops/test_operation.py::test_manual_5_3_a_broken_gate_is_told",
    )


# ---- 6 security and governance -------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_6_1_a_dry_run_is_asked_for(verb: str) -> None:
    """6.1: by default a verb does what it is called for; a pipeline asks for a dry run first."""
    option = options_of(verb)["--dry-run"]

    assert isinstance(option, click.Option)
    assert option.is_flag
    assert option.default is not True


def test_6_2_who_may_what() -> None:
    """6.2: what needs an administrator is for keys with that scope."""
    held_by(
        "gateway/test_doors.py::test_every_endpoint_has_a_decision",
        "gateway/test_doors.py::test_what_nobody_decided_is_for_admins",
    )


def test_6_3_secrets_are_masked() -> None:
    """6.3: keys, tokens and passwords never stand in a log or a summary."""
    held_by(
        "ops/test_summary.py::test_manual_6_3_secrets_are_masked",
        "cli/test_batch.py::test_manual_6_3_key_never_appears",
    )


def test_6_4_history_of_runs() -> None:
    """6.4: the run's id, its user and its moment are kept."""
    held_by("ops/test_operation.py::test_manual_6_4_history_of_runs_is_kept_for_a_month")


def test_6_5_backup_before_a_change() -> None:
    """6.5: there is a backup to make before data is changed, and it can be put back."""
    held_by("ops/test_backup.py::test_restore_on_an_empty_machine")


# ---- 9 working off what has failed ---------------------------------------------------


def test_9_1_intake_and_work_are_apart() -> None:
    """9.1: what comes in is kept first, then worked on, and given up after its tries."""
    held_by(
        "faults/test_storage.py::test_every_accepted_task_outlives_kills_at_any_moment",
        "gateway/test_deadletters_api.py::test_exhausted_task_is_a_dead_letter",
    )


def test_9_2_fields_of_a_failed_one() -> None:
    """9.2: how often, when next, why last, and why it was given up are told."""
    held_by(
        "gateway/test_deadletters_api.py::test_exhausted_task_is_a_dead_letter",
        "cli/test_deadletters.py::test_list_is_a_table",
    )


def test_9_3_back_off() -> None:
    """9.3: three tries more after 15, 30 and 60 seconds at most, then `retry_exhausted`."""
    from zscrape.model import RETRY_COUNT, RetryPolicy

    assert (RETRY_COUNT, RetryPolicy().backoff_s, RetryPolicy().cap_s) == (3, (15, 30, 60), 300)
    held_by("core/test_retry.py::test_rest_is_a_share_of_the_backoff")


@pytest.mark.parametrize("option", ["--limit", "--rounds", "--script", "--group", "--reason"])
def test_9_4_commands(option: str) -> None:
    """9.4: all of it, or some by selection, in rounds and up to a limit."""
    assert option in options_of("deadletters retry")
    held_by("cli/test_deadletters.py::test_manual_9_4_rounds_retry_what_fails_again")


def test_9_5_twins_are_seen() -> None:
    """9.5: what comes twice with one key is one task, and is told as such."""
    held_by("faults/test_several_gateways.py::test_one_key_at_two_gateways_at_once")


def test_9_6_a_schema_that_is_older_is_brought_up_to_date() -> None:
    """9.6: the tables are brought to the newest form as a server starts."""
    held_by("store/test_postgres.py::test_gateways_that_start_at_once_make_the_schema_once")


def test_9_7_the_workflow() -> None:
    """9.7: it can be started by hand with its inputs, and keeps its summary."""
    held_by(
        "ops/test_examples.py::test_example_does_not_run_by_itself",
        "ops/test_examples.py::test_manual_9_7_workflow_keeps_reports_whatever_happens",
    )
    assert (ROOT / ".github" / "workflows" / "nightly-batch.yml").exists()


def test_9_8_secrets_and_variables() -> None:
    """9.8: addresses and keys come from secrets, limits from variables with defaults."""
    workflow = (ROOT / ".github" / "workflows" / "nightly-batch.yml").read_text("utf-8")

    for name in ("ZSCRAPE_URL", "ZSCRAPE_API_KEY", "ZSCRAPE_ALERT_WEBHOOK"):
        assert f"secrets.{name}" in workflow
    for name, default in (("MAX_FAILED", "50"), ("MAX_RETRY_RATIO", "20")):
        assert f"vars.ZSCRAPE_{name} || '{default}'" in workflow


def test_9_9_gates() -> None:
    """9.9: more dropped or retried than allowed is a failure, with its reports and an alert."""
    held_by(
        "ops/test_summary.py::test_manual_9_9_gates_let_the_limit_pass_and_no_more",
        "cli/test_batch.py::test_manual_9_9_gates",
        "cli/test_deadletters.py::test_manual_9_9_gates_of_dead_letters",
        "ops/test_operation.py::test_manual_5_3_a_broken_gate_is_told",
    )
