"""One worker's links to all of its gateways, and the slots that they share.

Each gateway has an `Agent` of its own, which hears what the attempts of that gateway say. Scripts
are asked for at any gateway that is there; slots are shared by `core.credits`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from zscrape.core.credits import shares
from zscrape.core.effects import Exit
from zscrape.model import Attempt, OutcomeCode, Pin, RunSpec
from zscrape.wire import Tell
from zscrape.worker.agent import Agent
from zscrape.worker.slots import Assignment, Slots


class Fleet:
    """The agents of one worker."""

    def __init__(self, agents: Sequence[Agent], slot_count: int) -> None:
        self._agents = tuple(agents)
        self.is_shared = len(self._agents) > 1
        self._slot_count = slot_count
        self._turn = 0
        self._slots: Slots  # both given to `run`
        self.begin: Callable[[Assignment, Agent], None]  # run an attempt that a gateway has sent

    async def run(self, slots: Slots) -> Exit:
        """Dial all gateways and serve until every link has ended; returns why.

        A gateway that rejects this worker does not end the others: the first such reason is
        returned once no link is left.
        """
        self._slots, self.begin = slots, slots.begin
        if self.is_shared:
            self.balance()
        ends = await asyncio.gather(*(agent.run(self) for agent in self._agents))
        return next((end for end in ends if end.reason not in ("drained", "left")), ends[0])

    @property
    def joined_count(self) -> int:
        """How many gateways know this worker now."""
        return sum(agent.side.is_joined for agent in self._agents)

    def close(self) -> None:
        """Let go of every socket; again is no error."""
        for agent in self._agents:
            agent.close()

    def drain(self) -> None:
        """Take nothing new; `run` returns once nothing is left."""
        for agent in self._agents:
            agent.drain()

    async def leave(self) -> None:
        """End all that runs, say Goodbye to every gateway, and let `run` return."""
        for agent in self._agents:
            agent.prepare_to_leave()
        await self._slots.close()
        for agent in self._agents:
            agent.leave()

    async def fetch(self, pin: Pin) -> bytes | None:
        """Ask gateways for a script's bytes, those that are there first; None: none has them."""
        for agent in sorted(self._agents, key=lambda agent: not agent.side.is_joined):
            body = await agent.fetch(pin)
            if body is not None:
                return body
        return None

    def balance(self) -> None:
        """Share the slots anew; called whenever what it goes by may have changed."""
        self._turn += 1
        limits = shares(self._slot_count, [agent.side for agent in self._agents], turn=self._turn)
        # Those who get less come first: until they have, the others' new slots are theirs.
        pairs = list(zip(self._agents, limits, strict=True))
        for agent, limit in sorted(pairs, key=lambda pair: pair[1] - pair[0].granted_count):
            agent.grant(limit)

    # ---- from agents -----------------------------------------------------------------

    def prepare(self, run: RunSpec) -> None:
        """Get a script ready."""
        self._slots.prepare(run)

    def stop(self, task_id: str, attempt: int, code: OutcomeCode) -> None:
        """End an attempt."""
        self._slots.stop(task_id, attempt, code)

    def tell(self, tell: Tell) -> None:
        """Answer what an attempt has asked."""
        self._slots.tell(tell)

    def seek(self, attempt: Attempt, agent: Agent) -> None:
        """Let a gateway have an attempt that another one sent: the task is its own by now."""
        others = [each for each in self._agents if each is not agent]
        holder = next((each for each in others if each.has(attempt)), None)
        for each in others:
            if each is not holder:
                each.part(attempt)  # what is still on its way from there must not start
        if holder is None:
            agent.lack(attempt)
            return
        errand = holder.part(attempt)
        if errand is None:
            return  # it is being ended: when it is gone the gateway asks again
        self._slots.pass_on(attempt, agent)
        agent.take(errand)
        self.balance()
