//! The manifest of a board, as that of a project of its own.

use super::WORKSPACE;
use crate::text::shell_word;
use std::path::Path;
use std::str::FromStr;

/// The version of the crates that a project needs: the program's own, which speaks
/// with their firmware.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The crate that boards share, where their manifests say that it is, and its folder in a
/// checkout.
const COMMON: [&str; 3] = [
    "kinglet-board-common",
    "path = \"../common\"",
    "firmware/boards/common",
];

/// Where Kinglet's crates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kinglet {
    /// The folder of a checkout, from the root of the file system on.
    Folder(String),
    /// The address of its git repository, and a revision of it where one was named.
    Address(String, Option<String>),
}

impl FromStr for Kinglet {
    type Err = String;

    /// As a user says it: what begins as `https://` does is an address, with a revision after
    /// `#`.
    fn from_str(place: &str) -> Result<Self, String> {
        if place.contains(char::is_control) {
            return Err("it must not have control characters".to_owned());
        }
        if place.contains("://") {
            let (address, revision) = match place.split_once('#') {
                Some((address, revision)) => (address, Some(revision.to_owned())),
                None => (place, None),
            };
            return Ok(Self::Address(address.to_owned(), revision));
        }
        if !Path::new(place).join(COMMON[2]).is_dir() {
            return Err(
                "no checkout of Kinglet is there, and an address begins as https:// does"
                    .to_owned(),
            );
        }
        let folder = std::path::absolute(place).map_err(|error| error.to_string())?;
        let folder = folder.into_os_string().into_string();
        let folder = folder.map_err(|_| "its path is no UTF-8".to_owned())?;
        Ok(Self::Folder(folder))
    }
}

impl Kinglet {
    /// Where the crate of boards is, as manifests say it.
    fn place(&self) -> String {
        let [_, _, within] = COMMON;
        let text = |text: &str| toml::Value::String(text.to_owned());
        let place = match self {
            Self::Folder(folder) => format!("path = {}", text(&format!("{folder}/{within}"))),
            Self::Address(address, None) => format!("git = {}", text(address)),
            Self::Address(address, Some(revision)) => {
                format!("git = {}, rev = {}", text(address), text(revision))
            }
        };
        format!("version = \"{VERSION}\", {place}")
    }

    /// The command that installs the program `kinglet`.
    pub fn install(&self) -> String {
        let place = match self {
            Self::Folder(folder) => format!("--path {}", shell_word(&format!("{folder}/host"))),
            Self::Address(address, revision) => {
                let revision = revision.as_ref();
                let revision = revision.map(|revision| format!(" --rev {}", shell_word(revision)));
                let revision = revision.unwrap_or_default();
                format!("--git {}{revision} kinglet-host", shell_word(address))
            }
        };
        format!("cargo install --locked {place}")
    }
}

/// What boards inherit from their workspace.
fn inherited(key: &str) -> Option<&'static str> {
    let of_key = |line: &&str| {
        line.split_once(" = ")
            .is_some_and(|(found, _)| found == key)
    };
    WORKSPACE.lines().find(of_key)
}

/// The manifest `board` under another name: what it has of its workspace stands in
/// it, licence and address of the repository are the user's to choose.
pub fn manifest(board: &str, name: &str, kinglet: &Kinglet) -> String {
    let mut text = String::new();
    // Some are a workspace of their own.
    let (board, _) = board.split_once("\n[workspace]").unwrap_or((board, ""));
    for line in board.lines() {
        let (key, _) = line.split_once(" = ").unwrap_or((line, ""));
        let own = match key {
            "name" => format!("name = \"{name}\""),
            "build" | "license" | "license.workspace" | "repository.workspace" => continue,
            "version.workspace" => "version = \"0.1.0\"".to_owned(),
            key if key == COMMON[0] => line.replace(COMMON[1], &kinglet.place()),
            key => {
                let key = key.strip_suffix(".workspace");
                key.and_then(inherited).unwrap_or(line).to_owned()
            }
        };
        text += &own;
        text.push('\n');
    }
    let profiles = WORKSPACE.find("[profile.").unwrap_or(WORKSPACE.len());
    // A workspace of its own: no other that it may lie in is asked.
    text + "\n[workspace]\n\n" + &WORKSPACE[profiles..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_may_have_any_name() {
        let folder = Kinglet::Folder("/it's a \"bird\" \\o".to_owned());
        let manifest = format!("{} = {{ {} }}", COMMON[0], folder.place());
        let manifest: toml::Table = manifest.parse().unwrap();
        let path = manifest[COMMON[0]]["path"].as_str().unwrap();
        assert_eq!(path, "/it's a \"bird\" \\o/firmware/boards/common");
        let install = folder.install();
        let expected = r#"cargo install --locked --path '/it'\''s a "bird" \o/host'"#;
        assert_eq!(install, expected);
    }
}
