//! The `rds-auth-proxy` command, which is the library's `cli`.

fn main() -> std::process::ExitCode {
    rds_auth_proxy::cli::run(std::env::args_os())
}
