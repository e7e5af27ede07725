"""The checklist of the plan for a scheduler prototype, line by line.

Its architecture (a scheduler library, a server of keys) is not ours; what it wanted proven is.
"""

from __future__ import annotations

import json

from tests.founding.checklist import held_by
from tests.gateway.conftest import Gateway
from tests.gateway.loop_router import hold

# ---- 1 objective ---------------------------------------------------------------------


def test_1_a_no_double_run_over_processes_and_instances() -> None:
    """1: several processes or instances that run never run the same thing twice."""
    held_by(
        "faults/test_shared_locks.py::test_prototype_4_2_two_gateways_200_times",
        "faults/test_several_gateways.py::test_a_lock_is_one_over_all_gateways",
        "faults/test_shared_schedules.py::test_each_due_moment_fires_once",
    )


def test_1_b_manual_and_scheduled_at_the_same_time() -> None:
    """1: a manual run and a scheduled one at the same time leave one consistent state."""
    held_by(
        "gateway/test_schedules_api.py::test_one_gate_for_http_schedules_and_retries",
        "gateway/test_scheduler.py::test_prototype_a_held_lock_is_a_skip_on_record",
    )


def test_1_c_restart_of_the_server_while_something_runs() -> None:
    """1: what runs while the server restarts is taken up again, or cleaned up."""
    held_by(
        "e2e/test_schedules.py::test_dkron_1569_a_restarted_gateway_knows_the_holder",
        "faults/test_storage.py::test_gateway_killed_and_restarted",
        "faults/test_storage.py::test_gateway_and_worker_killed_together",
    )


# ---- 2 architecture ------------------------------------------------------------------


def test_2_1_schedules_outlive_the_server() -> None:
    """2.1: schedules are kept in a store, and a server that ends does so in good order."""
    held_by(
        "gateway/test_scheduler.py::test_restart_across_due_moments",
        "faults/test_promises.py::test_gateway_drains_before_it_ends",
    )


def test_2_2_lock_before_the_run_and_freed_after_it() -> None:
    """2.2: locked before it runs, freed as it ends, and by a lease when nobody can end it."""
    held_by(
        "gateway/test_scheduler.py::test_scrapydweb_30_a_lock_outlives_the_call",
        "core/test_locks.py::test_lost_locked_attempt_rests_until_its_lease_ends",
        "faults/test_promises.py::test_lock_of_a_killed_worker_is_freed",
        "faults/test_shared_locks.py::test_a_key_of_a_task_that_never_ran_comes_free",
    )


async def test_2_3_manual_and_scheduled_runs_go_the_same_way(gateway: Gateway) -> None:
    """2.3: a trigger by hand and a due moment make a task by the same function, and one lock."""
    gateway.worker(hold)
    async with gateway.client() as client:
        body = {"name": "s", "script_name": "anything", "cron": "@yearly"}
        schedule_id = (await client.post("/v1/schedules", json=body)).json()["id"]
        made = await client.post("/v1/schedules/s/trigger")
        task = (await client.get(f"/v1/tasks/{made.json()['request_id']}")).json()
        [lock] = (await client.get("/v1/locks")).json()["locks"]

    assert (task["origin"], task["schedule_id"]) == ("schedule", schedule_id)
    assert (lock["key"], lock["holder"]) == (f"schedule:{schedule_id}", task["request_id"])


def test_2_4_a_skip_is_logged_and_on_record() -> None:
    """2.4: asked for while it runs, it is logged and recorded as `skipped_due_to_lock`."""
    held_by("gateway/test_scheduler.py::test_prototype_a_held_lock_is_a_skip_on_record")


def test_2_4_requests_of_several_processes_at_once() -> None:
    """2.4: a program of its own asks at the same time from several processes."""
    held_by("gateway/test_locks_api.py::test_prototype_two_processes_200_times")


# ---- 3 deliverables ------------------------------------------------------------------


async def test_3_a_health_endpoint(gateway: Gateway) -> None:
    """3: there is a health endpoint, which needs no key."""
    async with gateway.client(Authorization="") as client:
        answer = await client.get("/health")

    assert answer.json()["status"] in ("ok", "degraded")
    assert "components" in json.loads(answer.text)


# ---- 4 test plan ---------------------------------------------------------------------


def test_4_1_manual_runs_in_a_row() -> None:
    """4.1: of two manual runs in a row the second answers `409 Conflict`."""
    held_by(
        "gateway/test_schedules_api.py::test_prototype_manual_runs_in_a_row_answer_409",
        "faults/test_shared_schedules.py::test_prototype_4_1_triggers_at_both_in_a_row_answer_409",
    )


def test_4_1_an_interval_updates_its_state() -> None:
    """4.1: a schedule of a minute updates its state once a minute."""
    held_by("gateway/test_scheduler.py::test_prototype_interval_updates_its_state")


def test_4_2_two_server_processes() -> None:
    """4.2: two server processes are asked for the same thing, and the lock lets one run."""
    held_by("faults/test_shared_locks.py::test_prototype_4_2_two_gateways_200_times")


def test_4_3_killed_while_it_runs() -> None:
    """4.3: killed while it holds the lock: free within the lease, and the next run is allowed."""
    held_by(
        "e2e/test_schedules.py::test_prototype_killed_holder_frees_its_lock",
        "e2e/test_schedules.py::test_infrahub_9856_a_worker_that_dies_before_it_runs",
        "faults/test_shared_locks.py::test_prototype_4_3_a_gateway_killed_while_it_holds",
    )


def test_4_3_storage_down() -> None:
    """4.3: with the storage down it fails at once, and says why."""
    held_by(
        "gateway/test_scheduler.py::test_storage_down_is_told_at_once",
        "gateway/test_scheduler.py::test_a_store_that_fails_between_claim_and_task",
        "faults/test_shared_locks.py::test_prototype_4_3_storage_down_is_told_at_once",
    )


# ---- 5 next steps --------------------------------------------------------------------


def test_5_runs_and_their_state_are_one_model() -> None:
    """5: what became of a run is found by the task that it made, in the server's own resources."""
    held_by("gateway/test_schedules_api.py::test_a_trigger_is_a_task_of_the_schedule")
