//! Stand-ins for the systems that a web-data platform works with: one module a system. They keep state, check
//! authentication and shape, and fail on command.
