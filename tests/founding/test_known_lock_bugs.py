"""How locks and schedules of others are known to rot: each bug by its number, and why not here."""

from __future__ import annotations

from typing import Any

import httpx

from tests.founding.checklist import held_by
from tests.gateway.conftest import Gateway
from tests.gateway.loop_router import hold

LOCK: dict[str, Any] = {"script_name": "anything", "lock_key": "one"}


async def ask(client: httpx.AsyncClient, overlap: str, **more: Any) -> httpx.Response:
    """Ask for a task with the one key of these tests."""
    return await client.post("/v1/tasks", json={**LOCK, "overlap": overlap, **more})


async def state_of(client: httpx.AsyncClient, answer: httpx.Response) -> str:
    """Return the status of a task that was accepted."""
    task = (await client.get(f"/v1/tasks/{answer.json()['request_id']}")).json()
    return str(task["status"])


# ---- locks that rot ------------------------------------------------------------------


def test_dkron_349_forbid_and_restart_and_it_never_runs_again() -> None:
    """What ran while the server ended does not stop the schedule for ever."""
    held_by("gateway/test_scheduler.py::test_dkron_349_restart_does_not_silence_a_schedule")


def test_dkron_1950_stuck_in_running_after_an_upgrade() -> None:
    """What ran when everything was replaced ends, here or there."""
    held_by(
        "faults/test_promises.py::test_drain_and_rolling_upgrade",
        "faults/test_storage.py::test_gateway_and_worker_killed_together",
    )


def test_dkron_1569_a_second_copy_beside_the_first() -> None:
    """After a crash nothing is begun beside what still runs."""
    held_by(
        "e2e/test_schedules.py::test_dkron_1569_a_restarted_gateway_knows_the_holder",
        "faults/test_several_gateways.py::test_a_lock_outlives_its_gateway",
    )


def test_dkron_377_452_742_forbid_is_not_kept_to() -> None:
    """What forbids overlap forbids it, however many ask at once."""
    held_by(
        "gateway/test_scheduler.py::test_overlap_policies",
        "gateway/test_locks_api.py::test_prototype_two_processes_200_times",
    )


def test_dkron_617_it_runs_on_every_node() -> None:
    """A due moment is fired by one of the servers that know of it."""
    held_by("faults/test_shared_schedules.py::test_each_due_moment_fires_once")


def test_prefect_9895_16746_a_dead_worker_keeps_its_slot() -> None:
    """What a dead worker held is free after its lease."""
    held_by(
        "faults/test_promises.py::test_lock_of_a_killed_worker_is_freed",
        "faults/test_promises.py::test_worker_killed_mid_attempt",
    )


def test_infrahub_9856_9925_dead_before_it_ran() -> None:
    """A worker that dies between assignment and start leaves neither lock nor slot taken."""
    held_by("e2e/test_schedules.py::test_infrahub_9856_a_worker_that_dies_before_it_runs")


def test_procrastinate_1408_the_one_that_cleans_up_is_stuck_itself() -> None:
    """Who takes up what others left behind may die as well: the next one takes it up."""
    held_by(
        "gateway/test_scheduler.py::test_an_abandoned_claim_is_fired_by_another",
        "gateway/test_scheduler.py::test_a_claim_of_a_dead_life_is_fired_within_seconds",
    )


# ---- limits that are passed by -------------------------------------------------------


def test_kestra_10657_queued_for_ever() -> None:
    """Who waits in line runs as soon as the holder is gone, however that ended."""
    held_by(
        "core/test_locks.py::test_line_is_served_in_order",
        "faults/test_promises.py::test_lock_of_a_killed_worker_is_freed",
        "faults/test_shared_locks.py::test_a_key_of_a_task_that_never_ran_comes_free",
    )


async def test_kestra_13141_the_policy_holds_once_only(gateway: Gateway) -> None:
    """Refused is refused again and again, and so is replaced."""
    gateway.worker(hold)
    async with gateway.client() as client:
        first = await ask(client, "skip")
        refused = [(await ask(client, "skip")).status_code for _ in range(3)]
        newer = [await ask(client, "replace") for _ in range(3)]
        states = [await state_of(client, each) for each in (first, *newer)]

    assert refused == [409, 409, 409]
    assert states == ["cancelled", "cancelled", "cancelled", "running"]


async def test_kestra_11574_what_is_ended_in_line_comes_again(gateway: Gateway) -> None:
    """A task that is cancelled while it waits for the key stays cancelled, retries or not."""
    worker = gateway.worker(hold)
    async with gateway.client() as client:
        await ask(client, "skip")
        holder = await worker.runs.get()
        line = [await ask(client, "queue_all", retry={}) for _ in range(2)]
        await client.post(f"/v1/tasks/{line[0].json()['request_id']}/cancel")
        worker.ok(holder)
        following = await worker.runs.get()
        states = [await state_of(client, each) for each in line]

    assert following.task_id == line[1].json()["request_id"]
    assert states == ["cancelled", "running"]


async def test_kestra_11592_ending_one_in_line_lets_another_in(gateway: Gateway) -> None:
    """While the holder runs nobody else does, whoever leaves the line."""
    worker = gateway.worker(hold)
    async with gateway.client() as client:
        await ask(client, "skip")
        await worker.runs.get()
        line = [await ask(client, "queue_all") for _ in range(3)]
        await client.post(f"/v1/tasks/{line[1].json()['request_id']}/cancel")
        states = [await state_of(client, each) for each in line]

    assert states == ["queued", "cancelled", "queued"]
    assert worker.runs.empty()


async def test_kestra_7880_a_restart_passes_the_limit_by(gateway: Gateway) -> None:
    """An ended task that is done again asks for its key like any other."""
    worker = gateway.worker(hold)
    async with gateway.client() as client:
        first = (await ask(client, "skip")).json()["request_id"]
        worker.ok(await worker.runs.get())
        await client.get(f"/v1/tasks/{first}", params={"wait": 20})
        second = (await ask(client, "skip")).json()["request_id"]
        again = await client.post(f"/v1/tasks/{first}/retry")

    assert (again.status_code, again.json()["details"]["holder"]) == (409, second)


def test_kestra_10296_a_race_at_a_high_rate() -> None:
    """At the same instant, again and again, one gets the key."""
    held_by("faults/test_shared_locks.py::test_prototype_4_2_two_gateways_200_times")


def test_windmill_2958_a_schedule_that_was_resumed_overlaps() -> None:
    """Paused and resumed, it keeps to its policy."""
    held_by("gateway/test_scheduler.py::test_windmill_2958_a_resumed_schedule_keeps_its_policy")


def test_prefect_19403_one_limit_holds_up_all_others() -> None:
    """Who waits for a key stands in nobody else's way."""
    held_by("core/test_turns.py::test_blocked_keys_hold_up_no_free_ones")


# ---- no control at all, or none that is seen -----------------------------------------


def test_scrapyd_153_228_322_and_scrapydweb_30_no_control() -> None:
    """Schedules and single calls say what becomes of an overlap; a lock outlives the call."""
    held_by(
        "gateway/test_scheduler.py::test_overlap_policies",
        "gateway/test_scheduler.py::test_scrapydweb_30_a_lock_outlives_the_call",
    )


def test_windmill_10917_moments_are_lost_silently() -> None:
    """Of 10,000 moments each is on record."""
    held_by("gateway/test_scheduler.py::test_windmill_10917_no_moment_goes_missing_among_10000")


def test_prefect_15886_a_storm_after_downtime() -> None:
    """After a month away one task is made."""
    held_by("gateway/test_scheduler.py::test_prefect_15886_a_long_downtime_is_no_storm")
