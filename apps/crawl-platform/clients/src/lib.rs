//! Clients of the systems that a web-data platform works with: one module a system.
