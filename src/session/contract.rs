//! The contract between client and server: the startup parameters that one adds and the other takes out again, so that
//! the database never sees them. They are those of the Go program of the same name, but for the last.

/// Names the target, as `ADDRESS:PORT`.
pub const HOST: &str = "host";

/// Hands over the password or IAM token; without it the application answers the database's password request.
pub const PASSWORD: &str = "password";

/// Makes the packet a cancel request, as `PID:HEXKEY`.
pub const CANCEL: &str = "rds-auth-proxy.cancel";
