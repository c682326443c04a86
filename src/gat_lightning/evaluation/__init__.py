"""Evaluation: attacks, statistics, the audit for obfuscated gradients, and the role of the tasks."""
