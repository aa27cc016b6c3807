//! `cargo xtask`: Kinglet's chores, one file per purpose.

mod bench;
mod boards;
mod book;
mod capi;
mod demo;
mod firmware;
mod page;
mod qemu;
mod report;
mod rp2040;
mod sizes;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};
use kinglet_workshop::workspace::find_root;
use std::io;
use std::process::ExitCode;

/// Kinglet's chores: see it run, test it, run models on emulated machines
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Test(test::Args),
    Qemu(qemu::Args),
    Firmware(firmware::Args),
    Board(boards::Args),
    Rp2040(rp2040::Args),
    Bench(bench::Args),
    Sizes(sizes::Args),
    Intents(kinglet_intents::Args),
    Book(book::Args),
    Page(page::Args),
    Capi(capi::Args),
    Loader(kinglet_loader_host::Args),
    Sensor(kinglet_sensor_host::Args),
}

/// Exit code 0 is success, 1 failure, 2 bad use.
fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = find_root().and_then(|_| cli.command.run());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output went away, as `head` does: not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Command {
    fn run(&self) -> Result<()> {
        match self {
            Command::Demo(args) => demo::run(args),
            Command::Test(args) => test::run(args),
            Command::Qemu(args) => qemu::run(args),
            Command::Firmware(args) => firmware::run(args),
            Command::Board(args) => boards::run(args),
            Command::Rp2040(args) => rp2040::run(args),
            Command::Bench(args) => bench::run(args),
            Command::Sizes(args) => sizes::run(args),
            Command::Intents(args) => kinglet_intents::run(args),
            Command::Book(args) => book::run(args),
            Command::Page(args) => page::run(args),
            Command::Capi(args) => capi::run(args),
            Command::Loader(args) => kinglet_loader_host::run(args),
            Command::Sensor(args) => kinglet_sensor_host::run(args),
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_options_of_all_commands_agree() {
        Cli::command().debug_assert();
    }
}
