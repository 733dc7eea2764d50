"""Rate limits for requests whose caller is not known yet, by their address."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from aichat_workspace.api.web.limits.rate_limits import MAX_CALLERS, TokenBucket
from aichat_workspace.api.web.requests.client_address import enclosing_networks

# Of all requests, for an address that is known, and for others and the networks around them.
_KNOWN_SHARE: Final = 0.4
_NETWORK_SHARES: Final = (0.2, 0.4, 0.4)
_KNOWN_SECONDS: Final = 24 * 3600
_PER_ADDRESS: Final = "Too many unknown callers come from your address or its network."
_ANONYMOUS: Final = "Too many unknown callers come."


@dataclass(frozen=True, slots=True)
class KnownAddresses:
    """The addresses from which a token was accepted within a day; only such a token adds one."""

    clock: Callable[[], float] = time.monotonic
    _accepted_at: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def add(self, address: str) -> None:
        """Note that a token from this address was accepted."""
        self._accepted_at.pop(address, None)
        self._accepted_at[address] = self.clock()
        if len(self._accepted_at) > MAX_CALLERS:
            self._accepted_at.popitem(last=False)

    def __contains__(self, address: object) -> bool:
        accepted_at = self._accepted_at.get(str(address), float("-inf"))
        return self.clock() - accepted_at < _KNOWN_SECONDS


@dataclass(frozen=True, slots=True)
class AnonymousRateLimits:
    """Rate limits for unauthenticated requests.

    Unknown addresses share one limit, with smaller ones for each address and for each network
    around it, since a customer may have a whole network. Known addresses share another one: floods
    from elsewhere do not affect them.
    """

    known: KnownAddresses
    per_known_address: TokenBucket
    all_known: TokenBucket
    per_network: tuple[TokenBucket, ...]
    """For an address, and for each wider network around it."""
    all_unknown: TokenBucket

    @classmethod
    def create(
        cls,
        per_second: float,
        burst: int,
        known: KnownAddresses,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Create limits of so many requests from all unknown addresses, and from all known ones."""

        def bucket(share: float, message: str) -> TokenBucket:
            return TokenBucket(per_second * share, max(1, int(burst * share)), clock, message)

        return cls(
            known,
            bucket(_KNOWN_SHARE, _PER_ADDRESS),
            bucket(1.0, _ANONYMOUS),
            tuple(bucket(share, _PER_ADDRESS) for share in _NETWORK_SHARES),
            bucket(1.0, _ANONYMOUS),
        )

    def take(self, address: str) -> None:
        """Count a request. Raises ProblemError (429) for one too many."""
        if address in self.known:
            self.per_known_address.take(address)
            self.all_known.take("")
            return
        networks = enclosing_networks(address)
        for bucket, network in zip(self.per_network, networks, strict=False):
            bucket.take(network)
        self.all_unknown.take("")
