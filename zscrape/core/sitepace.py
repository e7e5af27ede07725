"""What has been asked of one site of late, and when it may be asked next.

Pure: the clock is a number, of whichever clock all who share the site go by. A token is what
one request needs. It counts from when its request was certainly on its way (the one who asks
says so) and not from when it was granted: a slow link cannot push two requests together. A
token that nobody has told of counts as used at the latest moment that is likely.

A site that answers 429 or 503 is asked half as often from then on, and not at all for as long
as its `Retry-After` says; from there it recovers steadily. Requests that were already on their
way when it was slowed do not slow it again (as in TCP, RFC 6582: one loss a round trip).
"""

from __future__ import annotations

from math import inf
from typing import Final

from msgspec import Struct, field

from zscrape.core.sites import Pace, pace_of
from zscrape.model import SiteBudget

# A token that nobody has told of since counts as used after this.
UNTOLD_S: Final = 5.0
# A request holds its place this long unless its gateway, or what is left of it, says otherwise.
HELD_S: Final = 30.0
# What a script's manifest asks for holds this long beyond its last question.
CLAIM_KEPT_S: Final = 60.0
CLAIM_LIMIT_COUNT: Final = 64
SHARE_FLOOR: Final = 1 / 64
RECOVERY_S: Final = 120.0  # from nothing to all
PAUSE_LIMIT_S: Final = 3600.0
# A complaint without `Retry-After` about a site without a rate: it must slow down, too.
_REST_S: Final = 1.0
_REST_LIMIT_S: Final = 60.0


class Token(Struct, array_like=True):
    """Leave for one request. `owner` is the gateway that gave it."""

    id: str
    owner: str
    granted_at: float
    used_at: float | None = None
    is_open: bool = True  # not answered yet
    kept_until: float = inf  # open no longer than this

    @property
    def counts_at(self) -> float:
        """The latest moment at which its request may have arrived."""
        return self.granted_at + UNTOLD_S if self.used_at is None else self.used_at


class Claim(Struct, array_like=True):
    """What somebody wants a site's budget to be, as of his last question."""

    budget: SiteBudget
    at: float


class Crowd(Struct, array_like=True):
    """How many tokens are waited for at one gateway, as it said last."""

    count: int
    at: float


class SiteState(Struct):
    """One site: its last requests and open ones, and how it took them."""

    tokens: list[Token] = field(default_factory=list)
    crowds: dict[str, Crowd] = field(default_factory=dict)  # by gateway
    claims: dict[str, Claim] = field(default_factory=dict)
    share: float = 1.0  # of the budget, at `share_at`
    share_at: float = 0.0
    slowed_at: float = -inf
    paused_until: float = -inf
    complaint_status: int = 0  # 0: it never complained
    complaint_at: float = 0.0

    # ---- what is wanted --------------------------------------------------------------

    def claim(self, name: str, budget: SiteBudget, now: float) -> None:
        """Note what a script's manifest, or the site's own robots.txt, asks for."""
        self.claims.pop(name, None)
        self.claims[name] = Claim(budget, now)
        while len(self.claims) > CLAIM_LIMIT_COUNT:
            del self.claims[next(iter(self.claims))]

    def claimed(self, now: float) -> list[SiteBudget]:
        """Return the budgets that are asked for now."""
        return [each.budget for each in self.claims.values() if now - each.at < CLAIM_KEPT_S]

    def claimers(self, now: float) -> tuple[str, ...]:
        """Return who asks for budgets now, by name."""
        live = (name for name, each in self.claims.items() if now - each.at < CLAIM_KEPT_S)
        return tuple(sorted(live))

    # ---- tokens ----------------------------------------------------------------------

    def find(self, token_id: str) -> Token | None:
        """Return a token that is remembered."""
        return next((each for each in self.tokens if each.id == token_id), None)

    def due_at(self, budget: SiteBudget, now: float) -> float:
        """Return when the next token may be given if nothing is told of before; now or later."""
        pace = pace_of(budget, self.share_now(now))
        due = max(now, self.paused_until, self._free_at(pace, now))
        due = max(due, _span_end([each.granted_at for each in self.tokens], pace.sent))
        counted = [each.counts_at for each in self.tokens]
        due = max(due, _span_end(counted, pace.arrived))
        if pace.gap_s and counted:
            due = max(due, max(counted) + pace.gap_s)
        return due

    def take(self, token: Token, budget: SiteBudget) -> bool:
        """Give `token` at its moment, if one may be given then; the same one again is given."""
        if self.find(token.id) is not None:
            return True
        now = token.granted_at
        if self.due_at(budget, now) > now:
            return False
        token.kept_until = now + HELD_S
        self.tokens.append(token)
        self._forget(pace_of(budget, 1.0), now)
        return True

    def used(self, token_id: str, now: float) -> None:
        """Hear that a token's request is on its way."""
        token = self.find(token_id)
        if token is not None and token.used_at is None:
            token.used_at = min(now, token.counts_at)

    def close(self, token_id: str, now: float) -> None:
        """Hear that a token's request is over, however it ended."""
        self.used(token_id, now)
        token = self.find(token_id)
        if token is not None:
            token.is_open = False

    def renew(self, owner: str, held: frozenset[str], now: float) -> None:
        """Hear which requests of a gateway still go on; its others are over."""
        for token in self.tokens:
            if token.owner == owner and token.is_open:
                if token.id in held:
                    token.kept_until = now + HELD_S
                else:
                    self.close(token.id, now)

    def open_count(self, now: float) -> int:
        """Return how many requests are not answered yet."""
        return sum(each.is_open and each.kept_until > now for each in self.tokens)

    def wait(self, owner: str, count: int, now: float) -> None:
        """Hear how many tokens are waited for at a gateway."""
        self.crowds.pop(owner, None)
        if count:
            self.crowds[owner] = Crowd(count, now)

    def waiting_count(self, now: float) -> int:
        """Return how many tokens are waited for."""
        return sum(each.count for each in self.crowds.values() if now - each.at < HELD_S)

    # ---- complaints ------------------------------------------------------------------

    def share_now(self, now: float) -> float:
        """Return how much of its budget the site is asked now, up to 1.0."""
        return min(1.0, self.share + max(0.0, now - self.share_at) / RECOVERY_S)

    def complain(
        self, status: int, now: float, *, token_id: str = "", retry_after_s: float | None = None
    ) -> None:
        """Hear that the site wants to be asked less."""
        self.complaint_status, self.complaint_at = status, now
        token = self.find(token_id)
        asked_at = now if token is None else token.granted_at
        if asked_at > self.slowed_at:
            self.share = max(SHARE_FLOOR, self.share_now(now) / 2)
            self.share_at = self.slowed_at = now
        rest_s = min(_REST_S / self.share, _REST_LIMIT_S)
        if retry_after_s is not None:
            rest_s = min(max(0.0, retry_after_s), PAUSE_LIMIT_S)
        self.paused_until = max(self.paused_until, now + rest_s)

    def is_slowed(self, now: float) -> bool:
        """True iff the site is asked less than its budget allows."""
        return now < self.paused_until or self.share_now(now) < 1.0

    def is_idle(self, now: float) -> bool:
        """True iff nothing is lost by forgetting all of this, were it not for the last requests."""
        return not (self.is_slowed(now) or self.open_count(now) or self.claimed(now))

    # ---- inside ----------------------------------------------------------------------

    def _free_at(self, pace: Pace, now: float) -> float:
        """Return when fewer requests are open than may be."""
        if pace.open_count is None:
            return now
        ends = [each.kept_until for each in self.tokens if each.is_open and each.kept_until > now]
        return _span_end(ends, (pace.open_count, 0.0))

    def _forget(self, pace: Pace, now: float) -> None:
        """Forget what no longer counts: what is over, but for the last of it."""
        closed = [each for each in self.tokens if not each.is_open or each.kept_until <= now]
        spare_count = len(closed) - pace.remembered_count
        if spare_count > 0:
            closed.sort(key=lambda each: each.counts_at)
            spare = {each.id for each in closed[:spare_count]}
            self.tokens = [each for each in self.tokens if each.id not in spare]


def _span_end(moments: list[float], span: tuple[int, float] | None) -> float:
    """Return when there is room for one more than the span holds by then."""
    if span is None or len(moments) < span[0]:
        return -inf
    return sorted(moments)[-span[0]] + span[1]
