//! Files that repeat a fact of the table of targets, because they cannot read
//! it, agree with the table.

use kinglet_targets::{Core, CORES, MACHINES};
use kinglet_tests::{arg, folder, root};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What the build script of the engine, which is published alone, sets for a
/// core.
fn cfgs(script: &Path, core: &Core) -> BTreeSet<String> {
    let mut run = Command::new(script);
    run.env_clear().env("TARGET", core.triple);
    for feature in core.features {
        run.env(format!("CARGO_FEATURE_{}", feature.to_uppercase()), "1");
    }
    let output = run.output().expect("the build script starts");
    assert!(output.status.success(), "{}", core.name);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let cfgs = text
        .lines()
        .filter_map(|line| line.strip_prefix("cargo:rustc-cfg="));
    cfgs.map(str::to_owned).collect()
}

#[test]
fn the_engine_is_built_for_every_core_as_the_table_says() {
    let folder = folder();
    let script = folder.path().join("build");
    let source = root().join("core/build.rs");
    let compiled = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2021", "-o", arg(&script), arg(&source)])
        .status();
    assert!(compiled.expect("rustc starts").success());
    let layouts: BTreeSet<_> = CORES.iter().map(|core| core.layout).collect();
    for core in CORES {
        let cfgs = cfgs(&script, core);
        for layout in &layouts {
            let has = cfgs.contains(&format!("kinglet_{layout}"));
            assert_eq!(has, *layout == core.layout, "{}: {layout}", core.name);
        }
    }
    // Code that is not the same is not built with the same options.
    for (a, b) in CORES.iter().flat_map(|a| CORES.iter().map(move |b| (a, b))) {
        let same = a.first_of_code() == b.first_of_code();
        assert_eq!(
            cfgs(&script, a) == cfgs(&script, b),
            same,
            "{} {}",
            a.name,
            b.name
        );
    }
}

#[test]
fn the_firmware_readme_lists_every_machine() {
    let readme = std::fs::read_to_string(root().join("firmware/README.md")).expect("the README");
    for machine in MACHINES {
        let (name, core) = (machine.name, machine.core);
        let row = format!("| `{name}` | {} | `--target {}` |", core.title, core.name);
        assert!(readme.contains(&row), "{row}");
    }
}
