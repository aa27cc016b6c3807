//! The program `kinglet`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kinglet_host::cli::main()
}
