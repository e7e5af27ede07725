"""The pure core: what decides. No socket, clock, log, randomness or await in here."""
