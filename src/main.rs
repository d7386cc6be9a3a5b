//! The `rds-auth-proxy` command; everything it does is in the library's `cli`.

fn main() -> std::process::ExitCode {
    rds_auth_proxy::cli::run(std::env::args_os())
}
