//! What registries show of the crates, and which crates they get: those that a user's
//! project needs, and no others.

use kinglet_targets::CORES;
use kinglet_tests::crates::{published, text, WORKSPACES};
use kinglet_tests::root;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What users name themselves: in the firmware of their own, on their workstation, and in
/// a project of `kinglet new`.
const NAMED: [&str; 3] = ["kinglet", "kinglet-host", "kinglet-board-common"];

/// The crates that may be published.
fn crates() -> Vec<Value> {
    WORKSPACES.into_iter().flat_map(published).collect()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v Vec<Value> {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} of {value}"))
}

#[test]
fn every_crate_says_what_it_is() {
    let crates = crates();
    let shared = [
        "version",
        "rust_version",
        "license",
        "repository",
        "homepage",
    ];
    for it in &crates {
        let name = text(it, "name");
        assert!(text(it, "description").len() > 20, "{name}");
        let (keywords, categories) = (list(it, "keywords"), list(it, "categories"));
        // Registries take no more of them.
        assert!((1..=5).contains(&keywords.len()), "{name}");
        assert!((1..=5).contains(&categories.len()), "{name}");
        for key in shared {
            assert_eq!(it[key], crates[0][key], "{key} of {name}");
        }
        let folder = Path::new(text(it, "manifest_path")).parent();
        let folder = folder.expect("a folder");
        assert!(folder.join(text(it, "readme")).is_file(), "{name}");
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let read = |folder: &Path| fs::read_to_string(folder.join(licence));
            let ours = read(folder).unwrap_or_else(|error| panic!("{name}: {licence}: {error}"));
            assert_eq!(ours, read(root()).expect("the licence"), "{name}");
        }
    }
}

/// The documentation of the library is built for every core that it runs on.
#[test]
fn documentation_is_for_every_core() {
    let crates = crates();
    let library = crates.iter().find(|it| it["name"] == "kinglet");
    let docs = &library.expect("the library")["metadata"]["docs"]["rs"];
    assert_eq!(docs["all-features"], true);
    let targets: BTreeSet<_> = list(docs, "targets").iter().map(Value::as_str).collect();
    let cores: BTreeSet<_> = CORES.iter().map(|core| Some(core.triple)).collect();
    assert_eq!(targets, cores);
}

#[test]
fn those_are_published_that_users_need() {
    let crates = crates();
    let named = |name: &str| {
        let found = crates.iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is needed, but not published"))
    };
    let mut needed = BTreeSet::new();
    let mut open = NAMED.to_vec();
    while let Some(name) = open.pop() {
        if !needed.insert(name) {
            continue;
        }
        let needs = list(named(name), "dependencies").iter();
        for needs in needs.filter(|needs| needs["path"].is_string() && needs["kind"] != "dev") {
            assert_ne!(needs["req"], "*", "{name} says no version of {needs}");
            open.push(text(needs, "name"));
        }
    }
    let published: BTreeSet<_> = crates.iter().map(|it| text(it, "name")).collect();
    assert_eq!(published, needed);
}

/// Features that a table names in its first column, and whether it says that they are on
/// by default.
fn table(page: &str, heading: &str) -> BTreeSet<(String, bool)> {
    let (_, rest) = page.split_once(heading).expect("the heading");
    let lines = rest.lines().map(|line| line.trim_start_matches("//! "));
    let lines = lines.skip_while(|line| !line.starts_with("| `"));
    let cells = lines.map_while(|line| line.strip_prefix("| ")?.split(" | ").next());
    let names = cells.flat_map(|cell| {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(move |name| (name.to_owned(), cell.contains("(default)")))
    });
    names.collect()
}

#[test]
fn tables_of_features_have_those_of_the_manifest() {
    let crates = crates();
    let library = crates.iter().find(|it| it["name"] == "kinglet");
    let features = &library.expect("the library")["features"];
    let names = features.as_object().expect("features").keys();
    let default = |name: &String| list(features, "default").contains(&name.as_str().into());
    let declared: BTreeSet<_> = names
        .filter(|name| *name != "default")
        .map(|name| (name.clone(), default(name)))
        .collect();
    let page = fs::read_to_string(root().join("core/src/lib.rs")).expect("the library");
    assert_eq!(table(&page, "//! # Features\n"), declared);
    // The chapter says of the versions what the table does not, and `std` is not for boards.
    let chapter = kinglet_tests::manual::library();
    let names = |all: BTreeSet<(String, bool)>| all.into_iter().map(|(name, _)| name);
    let is_told = |name: &String| !name.starts_with('v') && name != "std";
    let told: BTreeSet<_> = names(declared).filter(is_told).collect();
    let chapter: BTreeSet<_> = names(table(&chapter, "# In your firmware\n")).collect();
    assert_eq!(chapter, told);
}
