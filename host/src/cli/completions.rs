//! `kinglet completions`: what shells and `man` know of the program.

use super::Cli;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{generate_to, Shell};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Write shell completions and man pages to where shells and `man` look for them
///
/// FOLDER is the `share` of an installation: ~/.local/share for you alone, /usr/local/share
/// for everyone. bash (with bash-completion), fish and man then find them; zsh where its
/// `fpath` has FOLDER/zsh/site-functions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  kinglet completions ~/.local/share")]
pub struct Args {
    /// It is made if it is not there; files of an earlier version are replaced
    folder: PathBuf,
}

/// Where in the folder each shell looks.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

pub fn run(args: &Args) -> Result<()> {
    let mut out = io::stdout();
    for (shell, place) in SHELLS {
        let folder = made(&args.folder.join(place))?;
        let path = generate_to(shell, &mut Cli::command(), "kinglet", &folder);
        writeln!(
            out,
            "{}",
            path.with_context(|| unwritten(&folder))?.display()
        )?;
    }
    let folder = made(&args.folder.join("man/man1"))?;
    clap_mangen::generate_to(Cli::command(), &folder).with_context(|| unwritten(&folder))?;
    writeln!(out, "{}", folder.join("kinglet.1").display())?;
    Ok(())
}

/// The folder, which is there now.
fn made(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| unwritten(folder))?;
    Ok(folder.to_owned())
}

fn unwritten(folder: &Path) -> String {
    format!("{}: cannot be written", folder.display())
}
