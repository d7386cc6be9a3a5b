//! What configurations mean, and what is said about those that mean nothing.
