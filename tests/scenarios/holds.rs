//! Holds on workspaces and namespaces.
