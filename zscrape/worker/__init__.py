"""The process that runs attempts: it dials a gateway and owns slots."""
