//! What the operator makes of an API server that fails, lies or falls silent.
