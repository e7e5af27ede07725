"""/v1/sites: budgets are set, seen and removed."""

from __future__ import annotations

import pytest


async def test_a_budget_is_set_seen_and_removed(client):
    """What was put in is what is told, under the name as sites are compared."""
    put = await client.put("/v1/sites/Example.COM", json={"rate": "30/m", "concurrency": 2})
    listed = await client.get("/v1/sites")
    one = await client.get("/v1/sites/example.com")
    removed = await client.delete("/v1/sites/example.com")
    again = await client.delete("/v1/sites/example.com")
    gone = await client.get("/v1/sites/example.com")

    assert put.status_code == 200
    assert put.json()["budget"] == {"rate": "30/min", "concurrency": 2}
    assert (put.json()["source"], put.json()["in_use_count"]) == ("operator", 0)
    assert listed.json() == {"sites": [put.json()]}
    assert one.json() == put.json()
    assert (removed.status_code, removed.content) == (204, b"")
    assert (again.status_code, gone.status_code, gone.json()["code"]) == (404, 404, "not_found")


async def test_a_budget_of_no_numbers_is_one_without_limits(client):
    """An operator can lift what manifests ask for; later words replace earlier ones."""
    await client.put("/v1/sites/example.com", json={"rate": "2/s", "burst": 3, "gap": 0.5})
    lifted = await client.put("/v1/sites/example.com", json={})

    assert (lifted.json()["budget"], lifted.json()["source"]) == ({}, "operator")


@pytest.mark.parametrize(
    ("site", "body", "pointer"),
    [
        ("a b", {}, "/site"),
        ("example.com", {"rate": "fast"}, "/rate"),
        ("example.com", {"concurrency": 0}, "/concurrency"),
        ("example.com", {"gap": 0}, "/gap"),
        ("example.com", {"speed": 1}, "/speed"),
    ],
)
async def test_what_is_no_budget_is_refused(client, site, body, pointer):
    """A refusal says which part of it is wrong, and nothing is kept."""
    refused = await client.put(f"/v1/sites/{site}", json=body)
    listed = await client.get("/v1/sites")

    assert refused.status_code == 422
    assert refused.json()["problems"][0]["pointer"] == pointer
    assert listed.json() == {"sites": []}
