"""The audit log, as those read it who may."""
