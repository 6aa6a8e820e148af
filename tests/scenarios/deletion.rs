//! Deleting workspaces and what stays.
