//! Lost and stale status, two operators, an operator killed at any step.
