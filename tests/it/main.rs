//! Integration tests: the real binary, in both modes, against real PostgreSQL.
