//! The volume: growth, retention, existing claims, loss.
