"""The network policy of a worker: who may reach what, and how strongly that is held.

    kernel      a cgroup's programs refuse every packet to an address that is not public,
                whoever sends it (`cgroup_bpf.py`)
    supervised  a seccomp filter stops every system call that names an address; a process of
                the worker's performs it on a copy, where the policy lets it
                (`zscrape.worker.supervisor`); needs no privileges
    kit         only Python's own sockets are looked at, in the script's process itself
                (`zscrape.runtime.network`)

`none` is held by the kernel everywhere (`zscrape.runtime.offline`).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from zscrape.config import Settings
from zscrape.config.values import parse_networks
from zscrape.model import NETWORKS, Network
from zscrape.runtime import network as told
from zscrape.worker.addresses import AddressPolicy, Network as Addresses, Rule, nameservers
from zscrape.worker.cgroup_bpf import EgressCgroup, EgressUnavailable
from zscrape.worker.supervisor import support


class NetworkPolicy(Struct, frozen=True):
    """The most that scripts may reach on a worker, and what `public` has besides."""

    most: Network = "public"
    allow: tuple[Addresses, ...] = ()


class Strength(Struct, frozen=True):
    """How the policy `public` is held. `reason`: what stands in the way of a stronger one."""

    name: Literal["kernel", "supervised", "kit"]
    reason: str = ""


def network_policy(settings: Settings) -> NetworkPolicy:
    """Return what the settings say."""
    worker = settings.worker
    return NetworkPolicy(worker.network, parse_networks(worker.network_allow))


def network_strength() -> Strength:
    """Try how strongly this machine, and this user, can hold a policy; it takes its time."""
    egress = Egress(NetworkPolicy())
    egress.open()
    egress.close()
    return egress.strength


class Egress:
    """The policy in force: what templates are started with. Blocking; opened and closed once."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._most = policy.most
        self._addresses = AddressPolicy(policy.allow, nameservers())
        self._cgroup: EgressCgroup | None = None
        self.strength = Strength("kit")

    def open(self) -> None:
        """Get hold of the strongest means there is."""
        try:
            self._cgroup = EgressCgroup.open(self._addresses)
        except EgressUnavailable as error:
            unsupervised = support.is_supported()
            name: Literal["supervised", "kit"] = "kit" if unsupervised else "supervised"
            self.strength = Strength(name, "; ".join(filter(None, (str(error), unsupervised))))
        else:
            self.strength = Strength("kernel")

    def close(self) -> None:
        """Let go of it; what runs has ended."""
        if self._cgroup is not None:
            self._cgroup.close()
            self._cgroup = None

    def cap(self, wanted: Network) -> Network:
        """Return what a script gets that asks for `wanted`: the stricter one of both."""
        return min(wanted, self._most, key=NETWORKS.index)

    @property
    def supervised(self) -> AddressPolicy | None:
        """The policy that a supervisor must hold, if it takes one."""
        return self._addresses if self.strength.name == "supervised" else None

    def steps(self, network: Network) -> tuple[str, ...]:
        """Return what `launch.py` is to do before anything else."""
        enter = () if self._cgroup is None else ("enter", str(self._cgroup.procs))
        match network:
            case "none":
                return (*enter, "offline")
            case "public":
                return enter
            case _:
                return ()

    def environ(self, network: Network) -> dict[str, str]:
        """Return the variable that tells the runtime of the policy."""
        match network:
            case "none":
                return {told.VARIABLE: f"none {told.HELD}"}
            case "public":
                holder = told.UNHELD if self.strength.name == "kit" else told.HELD
                return {told.VARIABLE: f"public {holder} {_written(self._addresses)}"}
            case _:
                return {}


def _written(policy: AddressPolicy) -> str:
    """Return the rules as `zscrape.runtime.network.Rules` reads them."""
    return "|".join(",".join(map(_write_rule, rules)) for rules in policy.ranges())


def _write_rule(rule: Rule) -> str:
    verdict = {"allow": told.ALLOW, "deny": told.DENY, "inside": told.INSIDE}[rule.verdict]
    network = rule.network
    place = f"{network.network_address.packed.hex()}/{network.prefixlen}"
    return f"{verdict}:{rule.port}:{rule.inside_at}:{place}"
